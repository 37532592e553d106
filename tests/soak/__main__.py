"""The command line of the soak test: `python -m tests.soak --duration 60`.

Exit status:
  0  no read was stale, except for documented reasons (see `tests/soak/staleness.py`)
  1  a read was stale for a reason that is not documented
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
    """Start PostgreSQL and Valkey, run the soak test and print its report.

    Returns:
        The exit status, or 128 + the number of the POSIX signal that ended the soak test.
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
        # Ctrl-C also ends `initdb`, which prepares PostgreSQL: then the POSIX signal explains the failed start.
        return 128 + number if (number := signals.first_received()) else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
