"""The command line: `python -m tests.soak --duration 60`.

Exit status: 0 when no read of the shared tier was stale and none of the local tier by more than a second, 1 when one
was, 2 when too little was read, or went wrong, to say so, or a process ended by itself.
"""

import os
import sys

from tests import isolation, valkey
from tests.servers import postgresql
from tests.soak import endings
from tests.soak.endings import Ended, ProcessFailed
from tests.soak.options import Options
from whatsai.devstack.process import ServerFailed


def main(arguments: list[str]) -> int:
    """Start the servers, soak, print the report; return the exit status, or 128 + the number of what ended it."""
    options = Options.read(arguments, __doc__)
    endings.listen()
    try:
        with postgresql() as database, valkey.running() as server:
            os.environ |= {"DATABASE_URL": database, "REDIS_URL": server.url}
            isolation.set_up(database=database)
            from tests.soak.soak import soak  # noqa: PLC0415 - there are settings from here on

            return soak(server, options)
    except Ended as ended:
        return 128 + ended.number
    except (ServerFailed, ProcessFailed) as error:
        sys.stderr.write(f"tests.soak: {error}\n")
        return 128 + number if (number := endings.caught()) else 2  # Ctrl-C ends what starts a server as well


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
