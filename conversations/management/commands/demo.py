"""`manage.py demo`: generates a realistic chat history, and posts it to the webhook endpoint."""

import argparse
import datetime as dt
import sys
import time
from contextlib import closing
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from tqdm import tqdm

from conversations.demo import demo_access, demo_clock, desk, generate, scale
from conversations.demo.events import Delivery
from conversations.demo.post import InProcess, OverHttp, Poster, PostingError, count_waiting, post_all
from conversations.demo.progress import Progress
from conversations.models import Conversation, Instance, Message
from conversations.monitoring import history


class Command(BaseCommand):
    """Posts sample payloads and a history of three instances. A second run with the same options changes no row."""

    help = noop("Load demo data through the webhook endpoint: every sample payload, then a history of three instances.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument(
            "--seed", type=int, default=7, help=_("seed of the generated history (default %(default)s)")
        )
        parser.add_argument(
            "--conversations", type=int, default=300, help=_("total of the three instances (default %(default)s)")
        )
        parser.add_argument(
            "--messages", type=int, default=25, help=_("average messages per conversation (default %(default)s)")
        )
        parser.add_argument(
            "--end",
            type=_moment,
            metavar="TIME",
            help=_("the last events are then, such as 2026-11-20T18:00Z (default: when the demo was first loaded)"),
        )
        parser.add_argument(
            "--url", help=_("URL of the server to post to; without it, the events are handled in this process")
        )
        parser.add_argument("--no-samples", action="store_true", help=_("do not post the sample payloads"))
        parser.add_argument("--quiet", action="store_true", help=_("show no progress bar"))
        parser.add_argument(
            "--scale",
            type=int,
            metavar="N",
            help=_("instead, insert N messages directly into the tables, without the endpoint"),
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Generate webhook events and post them; with --scale, insert messages directly into the tables."""
        if options["scale"] is not None:
            self._fill(options["scale"], is_quiet=options["quiet"])
            return
        if options["conversations"] < generate.MIN_CONVERSATIONS or options["messages"] < 1:
            text = _("--conversations must be at least %(count)d, and --messages at least 1")
            raise CommandError(text % {"count": generate.MIN_CONVERSATIONS})
        started = time.monotonic()
        stream = None if options["quiet"] else sys.stderr
        try:
            poster: Poster = OverHttp(options["url"]) if options["url"] is not None else InProcess()
            with closing(poster):
                history.remember()  # a plot needs the counters before what it shows
                tokens = demo_access.ensure_instances()
                deliveries = _deliveries(options, stream)
                _post(deliveries, poster, tokens, stream)
        except (demo_access.NameInUseError, PostingError) as error:
            raise CommandError(str(error)) from error
        desk.tidy()
        self.stdout.write(_summary(deliveries, time.monotonic() - started))

    def _fill(self, messages: int, *, is_quiet: bool) -> None:
        if messages < 1:
            raise CommandError(_("--scale must be 1 or more"))
        started, filled = time.monotonic(), 0
        with tqdm(total=messages, unit=" messages", unit_scale=True, disable=True if is_quiet else None) as bar:
            for count in scale.fill(messages):
                filled += count
                bar.update(count)
        text = _("Wrote %(count)d messages in %(seconds)s s; the database now has %(rows)s.")
        seconds = number_format(time.monotonic() - started, 1)
        self.stdout.write(text % {"count": filled, "seconds": seconds, "rows": _counts()})


def _moment(text: str) -> int:
    """Parse a time in ISO 8601, and return it in milliseconds since the epoch; without a zone, it is UTC.

    Raises:
        ArgumentTypeError: the text is no time, or the time is in the future.
    """
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_("%(text)r is not a time in ISO 8601") % {"text": text}) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if aware > dt.datetime.now(dt.UTC):
        raise argparse.ArgumentTypeError(_("%(text)r is in the future") % {"text": text})
    return int(aware.timestamp()) * demo_clock.SECOND


def _deliveries(options: dict[str, Any], stream: TextIO | None) -> list[Delivery]:
    if stream is not None:
        print(_("Demo: generating the webhooks …"), file=stream, flush=True)
    end = demo_access.first_loaded_at() if options["end"] is None else options["end"]
    samples = [] if options["no_samples"] else list(generate.samples())
    events = generate.history(options["seed"], options["conversations"], options["messages"], end)
    return samples + [event.delivery for event in events]


def _post(deliveries: list[Delivery], poster: Poster, tokens: dict[str, str], stream: TextIO | None) -> None:
    with Progress(_("Demo: webhooks posted"), len(deliveries), stream) as progress:
        for _posted in post_all(deliveries, poster, tokens):
            progress.advance()
    with Progress(_("Demo: webhooks applied"), count_waiting(), stream) as progress:
        poster.wait_until_applied(progress.advance)


def _summary(deliveries: list[Delivery], seconds: float) -> str:
    repeated = sum(delivery.is_repetition for delivery in deliveries)
    text = _(
        "Posted %(count)d webhooks, including %(repeated)d repetitions, in %(seconds)s s; the database now has "
        "%(rows)s."
    )
    counts = {"count": len(deliveries), "repeated": repeated, "rows": _counts()}
    return text % {**counts, "seconds": number_format(seconds, 1)}


def _counts() -> str:
    rows = ((Instance, _("instances")), (Conversation, _("conversations")), (Message, _("messages")))
    return ", ".join(f"{model.objects.count()} {name}" for model, name in rows)
