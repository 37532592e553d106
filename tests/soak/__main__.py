"""The command line of the soak test: `python -m tests.soak --duration 60`.

Exit status:
  0  no read of the shared tier was stale, and none of the local tier by more than a second
  1  a read was stale
  2  there were too few reads or faults for a result, or a process failed
"""

import os
import sys
from collections.abc import Sequence

from tests import isolation, signals, valkey
from tests.devstack.process import ServerFailed
from tests.servers import postgresql
from tests.signals import Interrupted
from tests.soak.options import Options


def main(arguments: Sequence[str]) -> int:
    """Start the servers, run the soak test and print its report.

    Returns:
        The exit status, or 128 + the number of the signal that ended the run.
    """
    options = Options.parse(arguments, __doc__)
    signals.install_handlers()
    try:
        with postgresql() as database, valkey.running() as server:
            os.environ |= {"DATABASE_URL": database, "REDIS_URL": server.url}
            isolation.set_up(database=database)
            from tests.soak.soak import soak  # noqa: PLC0415 - models can be imported only after Django's setup

            return soak(server, options)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except ServerFailed as error:
        print(f"tests.soak: {error}", file=sys.stderr)
        # Ctrl-C also ends the commands that start a server, so the signal explains the failure.
        return 128 + number if (number := signals.first_received()) else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
