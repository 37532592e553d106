"""`manage.py ingest`: a worker, and what an operator does with events."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count, Min
from django.utils import timezone

from conversations.ingest import counts, replay
from conversations.ingest.worker import Worker
from conversations.models import WebhookEvent


class Command(BaseCommand):
    """Without options it applies events until SIGTERM or Ctrl-C, and finishes the batch in hand then."""

    help = "Apply stored webhook events, until stopped. Many may run, on many hosts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--drain", action="store_true", help="apply what is there, then end")
        what.add_argument("--status", action="store_true", help="show what waits and what was done")
        what.add_argument(
            "--replay", nargs="*", metavar="ID", type=int, help="let these events, or all failed ones, be tried again"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Do one of them."""
        if options["status"]:
            self.stdout.write(_status())
        elif options["replay"] is not None:
            self.stdout.write(f"{replay.again(options['replay'] or None)} events are due again")
        elif options["drain"]:
            self.stdout.write(f"{Worker().drain()} events applied")
        else:
            worker = Worker()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: worker.stop())
            worker.run()


def _status() -> str:
    by_outcome = WebhookEvent.objects.values("outcome").annotate(events=Count("pk"), first=Min("received_at"))
    lines = [
        f"{row['events']:>9}  {row['outcome']}, the first of {row['first']:%Y-%m-%d %H:%M:%S}" for row in by_outcome
    ]
    waits = WebhookEvent.objects.filter(outcome="stored", due_at__lte=timezone.now()).aggregate(since=Min("due_at"))
    if waits["since"]:
        lines.append(f"the longest waiting is {(timezone.now() - waits['since']).total_seconds():.1f} s late")
    imports = WebhookEvent.objects.filter(outcome="stored", is_history=True)
    lines += [f"{row.done:>9} of {row.total} items of import {row.pk} are applied" for row in imports]
    lines += ["", *(f"{times:>9}  {name}" for name, times in sorted(counts.totals().items()))]
    return "\n".join(lines) or "Nothing has come yet."
