"""`manage.py demo`: generates a realistic chat history, and posts it to the webhook endpoint."""

import time
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from conversations.demo import demo_access, generate, scale
from conversations.demo.events import Delivery
from conversations.demo.post import InProcess, OverHttp, Poster, PostingError, post_all
from conversations.models import Conversation, Instance, Message


class Command(BaseCommand):
    """Posts sample payloads and a history of three instances. A second run with the same options changes no row."""

    help = "Load demo data through the webhook endpoint: every sample payload, then a history of three instances."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument("--seed", type=int, default=7, help="seed of the generated history (default %(default)s)")
        parser.add_argument(
            "--conversations", type=int, default=300, help="total of the three instances (default %(default)s)"
        )
        parser.add_argument(
            "--messages", type=int, default=25, help="average messages per conversation (default %(default)s)"
        )
        parser.add_argument(
            "--url", help="URL of the server to post to; without it, the events are handled in this process"
        )
        parser.add_argument("--no-samples", action="store_true", help="do not post the sample payloads")
        parser.add_argument("--quiet", action="store_true", help="show no progress bar")
        parser.add_argument(
            "--scale",
            type=int,
            metavar="N",
            help="instead, insert N messages directly into the tables, without the endpoint",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Generate webhook events and post them; with --scale, insert messages directly into the tables."""
        if options["scale"] is not None:
            self._fill(options["scale"], is_quiet=options["quiet"])
            return
        if options["conversations"] < generate.MIN_CONVERSATIONS or options["messages"] < 1:
            raise CommandError(
                f"--conversations must be at least {generate.MIN_CONVERSATIONS}, and --messages at least 1"
            )
        started = time.monotonic()
        samples = [] if options["no_samples"] else list(generate.samples())
        events = generate.history(options["seed"], options["conversations"], options["messages"])
        deliveries = samples + [event.delivery for event in events]
        try:
            poster: Poster = OverHttp(options["url"]) if options["url"] is not None else InProcess()
            with closing(poster):
                _post(deliveries, poster, is_quiet=options["quiet"])
        except (demo_access.NameInUseError, PostingError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_summary(deliveries, time.monotonic() - started))

    def _fill(self, messages: int, *, is_quiet: bool) -> None:
        if messages < 1:
            raise CommandError("--scale must be 1 or more")
        started, filled = time.monotonic(), 0
        with tqdm(total=messages, unit=" messages", unit_scale=True, disable=True if is_quiet else None) as bar:
            for count in scale.fill(messages):
                filled += count
                bar.update(count)
        self.stdout.write(
            f"Wrote {filled} messages in {time.monotonic() - started:.1f} s; the database now has {_counts()}."
        )


def _post(deliveries: list[Delivery], poster: Poster, *, is_quiet: bool) -> None:
    accepted = post_all(deliveries, poster, demo_access.ensure_instances())
    # `disable=None` hides the progress bar if the output is not a terminal.
    for _ in tqdm(accepted, total=len(deliveries), unit=" webhooks", disable=True if is_quiet else None):
        pass
    poster.wait_until_applied()


def _summary(deliveries: list[Delivery], seconds: float) -> str:
    repeated = sum(delivery.is_repetition for delivery in deliveries)
    posted = f"Posted {len(deliveries)} webhooks, including {repeated} repetitions, in {seconds:.1f} s"
    return f"{posted}; the database now has {_counts()}."


def _counts() -> str:
    rows = ((Instance, "instances"), (Conversation, "conversations"), (Message, "messages"))
    return ", ".join(f"{model.objects.count()} {name}" for model, name in rows)
