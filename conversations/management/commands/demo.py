"""`manage.py demo`: a believable history, posted through the webhook endpoint."""

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
    """Posts the sample payloads and a history of three instances; the same options, the same rows, however often."""

    help = "Load a demo through the webhook endpoint: every sample payload, then a history of three instances."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say how much, of what, and to whom."""
        parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same history (%(default)s)")
        parser.add_argument(
            "--conversations", type=int, default=300, help="of all three instances together (%(default)s)"
        )
        parser.add_argument("--messages", type=int, default=25, help="average length of a conversation (%(default)s)")
        parser.add_argument("--url", help="post to the server at this address; without it, within this process")
        parser.add_argument("--no-samples", action="store_true", help="leave the sample payloads out")
        parser.add_argument("--quiet", action="store_true", help="show no progress")
        parser.add_argument(
            "--scale",
            type=int,
            metavar="N",
            help="instead, fill the tables with N messages, fast: past the endpoint",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Generate everything, then post it; or only fill the tables."""
        if options["scale"] is not None:
            self._fill(options["scale"], is_quiet=options["quiet"])
            return
        if options["conversations"] < generate.FEWEST or options["messages"] < 1:
            raise CommandError(f"needs at least {generate.FEWEST} conversations, of one message on average")
        began = time.monotonic()
        samples = [] if options["no_samples"] else list(generate.samples())
        events = generate.history(options["seed"], options["conversations"], options["messages"])
        deliveries = samples + [event.delivery for event in events]
        try:
            poster: Poster = OverHttp(options["url"]) if options["url"] is not None else InProcess()
            with closing(poster):
                _post(deliveries, poster, is_quiet=options["quiet"])
        except (demo_access.NameInUseError, PostingError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_summary(deliveries, time.monotonic() - began))

    def _fill(self, messages: int, *, is_quiet: bool) -> None:
        if messages < 1:
            raise CommandError("--scale needs a number of messages, 1 or more")
        began, filled = time.monotonic(), 0
        with tqdm(total=messages, unit=" messages", unit_scale=True, disable=True if is_quiet else None) as bar:
            for count in scale.fill(messages):
                filled += count
                bar.update(count)
        self.stdout.write(f"Wrote {filled} messages in {time.monotonic() - began:.1f} s; now here: {_counts()}.")


def _post(deliveries: list[Delivery], poster: Poster, *, is_quiet: bool) -> None:
    accepted = post_all(deliveries, poster, demo_access.ensure_instances())
    # None: no bar where nobody looks, in a file or a pipe.
    for _ in tqdm(accepted, total=len(deliveries), unit=" webhooks", disable=True if is_quiet else None):
        pass
    poster.wait_until_applied()


def _summary(deliveries: list[Delivery], seconds: float) -> str:
    again = sum(delivery.is_again for delivery in deliveries)
    return f"Posted {len(deliveries)} webhooks, {again} of them repetitions, in {seconds:.1f} s; now here: {_counts()}."


def _counts() -> str:
    rows = ((Instance, "instances"), (Conversation, "conversations"), (Message, "messages"))
    return ", ".join(f"{model.objects.count()} {name}" for model, name in rows)
