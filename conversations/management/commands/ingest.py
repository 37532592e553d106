"""`manage.py ingest`: runs a worker, which also delivers webhooks; shows the state of ingestion, or replays events."""

import gc
import os
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from django.utils.translation import ngettext

from conversations import startup
from conversations.ingest import status
from conversations.ingest.counter_meanings import MEANINGS
from conversations.ingest.worker import replay
from conversations.ingest.worker.worker import Worker

NICE = 10  # niceness of a worker, so that web processes on the same host go first


class Command(BaseCommand):
    """Applies events until SIGTERM or Ctrl-C, then finishes the current batch. Options select other actions."""

    help = noop("Apply stored webhook events until stopped. Several workers may run, also on several hosts.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--drain", action="store_true", help=_("apply all stored events, then exit"))
        action.add_argument(
            "--status", action="store_true", help=_("show waiting and failed events, progress of imports, and counters")
        )
        action.add_argument(
            "--replay",
            nargs="*",
            metavar="ID",
            type=int,
            help=_("apply these events again; without IDs, all failed events"),
        )
        parser.add_argument(
            "--nice", type=int, default=NICE, help=_("niceness of the worker process (default %(default)s)")
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the action that the command-line options select."""
        if options["status"]:
            self.stdout.write("\n".join(_format(status.read())))
        elif options["replay"] is not None:
            queued = replay.requeue(options["replay"] or None)
            self.stdout.write(
                ngettext("%(count)d event queued again", "%(count)d events queued again", queued) % {"count": queued}
            )
        elif options["drain"]:
            applied = _worker().drain()
            self.stdout.write(
                ngettext("%(count)d event applied", "%(count)d events applied", applied) % {"count": applied}
            )
        else:
            os.nice(options["nice"])
            worker = _worker()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_signal: worker.stop())
            startup.start_beside_worker()
            worker.run()
            startup.stop()


def _worker() -> Worker:
    gc.freeze()  # keeps loaded modules out of garbage collection, which would take a tenth of a batch's time
    return Worker()


def _format(current: status.Status) -> Iterator[str]:
    waiting = {"waiting": current.waiting, "retried": current.retried}
    yield _("waiting events: %(waiting)d, %(retried)d of them after a failed attempt") % waiting
    yield _("longest delay: %(seconds)s s") % {"seconds": number_format(current.late, 1)}
    failed = {"count": current.failed, "size": number_format(current.failed_size / 2**20, 1)}
    yield _("failed events: %(count)d, %(size)s MB (apply them again with `manage.py ingest --replay`)") % failed
    for history in current.imports:
        values = {
            "name": history.instance,
            "time": date_format(localtime(history.received_at), "SHORT_DATETIME_FORMAT"),
        }
        values |= {"applied": str(history.applied), "parts": str(history.parts)}
        yield _("import into %(name)s of %(time)s: %(applied)s of %(parts)s parts applied") % values
    for warning in current.warnings:
        found = {"count": warning.count, "name": warning.instance, "meaning": warning.meaning}
        text = ngettext(
            "warning: %(count)d event of %(name)s: %(meaning)s",
            "warning: %(count)d events of %(name)s: %(meaning)s",
            warning.count,
        )
        yield text % found
    yield ""
    yield _("all-time counters:")
    for name, count in current.counts.items():
        yield f"{count:>12}  {name:<12}  {MEANINGS.get(name, '')}".rstrip()
