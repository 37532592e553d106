"""`manage.py ingest`: runs a worker, which also delivers webhooks; shows the state of ingestion, or replays events."""

import gc
import os
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from conversations import startup
from conversations.ingest import status
from conversations.ingest.worker import replay
from conversations.ingest.worker.worker import Worker

NICE = 10  # niceness of a worker, so that web processes on the same host go first


class Command(BaseCommand):
    """Applies events until SIGTERM or Ctrl-C, then finishes the current batch. Options select other actions."""

    help = "Apply stored webhook events until stopped. Several workers may run, also on several hosts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--drain", action="store_true", help="apply all stored events, then exit")
        action.add_argument(
            "--status", action="store_true", help="show waiting and failed events, progress of imports, and counters"
        )
        action.add_argument(
            "--replay",
            nargs="*",
            metavar="ID",
            type=int,
            help="apply these events again; without IDs, all failed events",
        )
        parser.add_argument(
            "--nice", type=int, default=NICE, help="niceness of the worker process (default %(default)s)"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the action that the command-line options select."""
        if options["status"]:
            self.stdout.write("\n".join(_format(status.read())))
        elif options["replay"] is not None:
            self.stdout.write(f"{replay.requeue(options['replay'] or None)} events queued again")
        elif options["drain"]:
            self.stdout.write(f"{_worker().drain()} events applied")
        else:
            os.nice(options["nice"])
            worker = _worker()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: worker.stop())
            startup.start_beside_worker()
            worker.run()
            startup.stop()


def _worker() -> Worker:
    gc.freeze()  # keeps loaded modules out of garbage collection, which would take a tenth of a batch's time
    return Worker()


def _format(current: status.Status) -> Iterator[str]:
    yield f"waiting events: {current.waiting}, {current.retried} of them after a failed attempt"
    yield f"longest delay: {current.late:.1f} s"
    size = f"{current.failed_size / 2**20:.1f} MB"
    yield f"failed events: {current.failed}, {size} (apply them again with `manage.py ingest --replay`)"
    for history in current.imports:
        title = f"import into {history.instance} of {history.received_at:%Y-%m-%d %H:%M}"
        yield f"{title}: {history.applied} of {history.parts} parts applied"
    for warning in current.warnings:
        yield f"warning: {warning.count} events of {warning.instance} were {warning.meaning}"
    yield ""
    yield "all-time counters:"
    yield from (f"{count:>12}  {name}" for name, count in current.counts.items())
