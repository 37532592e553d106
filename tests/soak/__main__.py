"""The command line: `python -m tests.soak --duration 60`.

Exit status: 0 when no read of the shared tier was stale, 1 when one was, 2 when too little happened to say so.
"""

import argparse
import os
import signal
import sys
from types import FrameType

from tests import isolation, valkey
from tests.servers import postgresql

SABOTAGES = ("begin", "holders", "strange", "late")


def main(arguments: list[str]) -> int:
    """Start the servers, soak, print the report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--duration", type=float, default=60, help="seconds (default 60)")
    parser.add_argument("--pace", type=float, default=4, help="the protocol's slow clocks, times as fast (default 4)")
    parser.add_argument("--sabotage", choices=SABOTAGES, default="", help="leave a step of the protocol out")
    parser.add_argument("--only", default="", help="inject only faults whose name has this in it; - for none")
    parser.add_argument("--log", action="store_true", help="show what the cache logs")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    with postgresql() as database, valkey.running() as server:
        os.environ |= {"DATABASE_URL": database, "REDIS_URL": server.url}
        isolation.set_up(database=database)
        from tests.soak.soak import soak  # noqa: PLC0415 - there are settings from here on

        return soak(server, options)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
