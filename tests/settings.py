"""The settings of the project, with longer time-outs of the cache, because Redis answers late on a busy machine.

The tests and the processes that they start use these settings.
"""

from cachelayer import REDIS_OPTIONS
from cachelayer.stores import replies
from whatsai.settings import *  # noqa: F403 - the settings of the project

TIMEOUT = 1.0  # seconds; the cache warns of a longer one

REDIS_OPTIONS |= dict.fromkeys(("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT"), TIMEOUT)
replies.MAX_SECONDS = TIMEOUT
