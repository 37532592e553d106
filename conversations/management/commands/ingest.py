"""`manage.py ingest`: a worker, and what an operator does with events."""

import gc
import os
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from conversations.ingest import status
from conversations.ingest.worker import replay
from conversations.ingest.worker.worker import Worker

NICE = 10  # where server processes are on the same machine, whoever waits for an answer goes first


class Command(BaseCommand):
    """Without options it applies events until SIGTERM or Ctrl-C, and finishes the batch in hand then."""

    help = "Apply stored webhook events, until stopped. Many may run, on many hosts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--drain", action="store_true", help="apply what is there, then end")
        what.add_argument("--status", action="store_true", help="show what waits, what failed, and how far imports are")
        what.add_argument(
            "--replay", nargs="*", metavar="ID", type=int, help="let these events, or all failed ones, be tried again"
        )

        parser.add_argument("--nice", type=int, default=NICE, help="how much others go first (default %(default)s)")

    def handle(self, *_args: object, **options: Any) -> None:
        """Do one of them."""
        if options["status"]:
            self.stdout.write("\n".join(_told(status.read())))
        elif options["replay"] is not None:
            self.stdout.write(f"{replay.requeue(options['replay'] or None)} events are due again")
        elif options["drain"]:
            self.stdout.write(f"{_worker().drain()} events applied")
        else:
            os.nice(options["nice"])
            worker = _worker()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: worker.stop())
            worker.run()


def _worker() -> Worker:
    gc.freeze()  # what is loaded by now stays: to look through it each time would take a tenth of a batch's time
    return Worker()


def _told(found: status.Status) -> Iterator[str]:
    yield f"{found.waiting} events wait, the longest for {found.late:.1f} s; {found.retried} of them have failed before"
    yield f"{found.failed} events have failed for good: `manage.py ingest --replay` lets them be tried again"
    for one in found.imports:
        import_ = f"import of {one.received_at:%Y-%m-%d %H:%M} into {one.instance}"
        yield f"{import_}: {one.applied} of {one.parts} parts are applied"
    yield ""
    yield "since ever"
    yield from (f"{times:>12}  {name}" for name, times in found.counts.items())
