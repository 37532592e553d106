"""What an event costs to store and to apply, and what that has to do with how much is stored already.

`python -m tests.benchmarks.inbox` starts Valkey, and PostgreSQL, which keeps what it commits; fills the tables,
measures, fills them further, and measures again. It prints a report and puts it into `docs/`.
"""

import argparse
import datetime as dt
import itertools
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests import isolation, servers
from tests.benchmarks.report import markdown
from whatsai.stack import folders, stores

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SAMPLE = Path(__file__).resolve().parent.parent / "payloads" / "samples" / "messages.upsert.json"
SMALL, LARGE = 10_000, 10_000_000  # messages; a tenth as many conversations
EVENTS, ROUNDS = 4000, 5
START = 1_790_000_000  # seconds; later than all that is there
SAVED, SINGLE, STORED, APPLIED = "one save() of a message", "applied one by one", "stored", "applied in batches"
TARGETS = (("in batches, against one `save()` an event", 5.0), ("with the large tables, against the small ones", 1.3))

Seconds = Mapping[str, float]  # an event
Body = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Measure, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.inbox", description=__doc__)
    parser.add_argument("--small", type=int, default=SMALL, help="messages at first (default %(default)s)")
    parser.add_argument(
        "--large", type=int, default=LARGE, help="messages then (default %(default)s); else docs/ stays"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which the median counts (default %(default)s)")
    options = parser.parse_args(arguments)
    with _servers():
        sizes = {size: _measured(size, options.rounds) for size in (options.small, options.large)}
        text = report(sizes)
    print(text)
    if options.large == LARGE:
        (DOCS / "benchmarks-inbox.md").write_text(text, encoding="utf-8")


@contextmanager
def _servers() -> Iterator[None]:
    """Run the servers as in production, and set Django up on them."""
    with folders.short() as folder, servers.valkey() as redis_url:
        server, database_url = stores.postgresql(folder, folder, stores.DURABLE)
        with servers.running(server):
            os.environ |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
            isolation.set_up(database=database_url)
            from django.core.management import call_command  # noqa: PLC0415 - there are settings from here on

            from cachelayer import startup  # noqa: PLC0415 - as above

            call_command("migrate", verbosity=0)
            startup.start()
            yield


def _measured(size: int, rounds: int) -> Seconds:
    """Fill the tables up to a size, and return medians."""
    from django.db import connection  # noqa: PLC0415 - as above

    from conversations.demo import scale  # noqa: PLC0415 - as above
    from conversations.models import Message  # noqa: PLC0415 - as above

    for _ in scale.fill(size - Message.objects.count()):
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # else it would begin in the middle
        cursor.execute("CHECKPOINT")
    work = _Work()
    taken: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for name, seconds in work.round():
            taken.setdefault(name, []).append(seconds)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}  # the first round warms up


class _Work:
    """Messages to conversations that are there, picked by chance."""

    def __init__(self) -> None:
        from conversations.demo import crowd, scale  # noqa: PLC0415 - as above
        from conversations.models import Instance  # noqa: PLC0415 - as above

        names = [scale.NAME.format(place + 1) for place in range(crowd.INSTANCES)]
        self._instances = list(Instance.objects.filter(name__in=names))
        chosen: Callable[[int, int], int] = random.Random(2026).randint
        self._conversations = {}
        for instance in self._instances:
            pks = instance.conversations.order_by("pk").values_list("pk", flat=True)
            first, last = pks[0], pks.reverse()[0]
            wanted = [chosen(first, last) for _ in range(EVENTS)]
            self._conversations[instance] = list(instance.conversations.in_bulk(wanted).values())
        self._numbers = itertools.count(time.time_ns())
        self._sample = SAMPLE.read_text(encoding="utf-8")

    def round(self) -> Iterator[tuple[str, float]]:
        """Measure each thing once; yield what, and the seconds of an event."""
        from conversations.ingest.conf import Options  # noqa: PLC0415 - as above
        from conversations.ingest.inbox import store  # noqa: PLC0415 - as above
        from conversations.ingest.receive import receive  # noqa: PLC0415 - as above
        from conversations.ingest.worker import Worker  # noqa: PLC0415 - as above

        few = EVENTS // 10
        rows = [self._row(place) for place in range(few)]
        yield SAVED, _timed([row.save for row in rows])
        yield SINGLE, _timed([partial(receive, *self._event(place)) for place in range(few)])
        yield STORED, _timed([partial(store, *self._event(place)) for place in range(EVENTS)])
        yield APPLIED, _timed([Worker(Options(interval=0)).drain]) / EVENTS

    def _conversation(self, place: int) -> tuple[Any, Any]:
        instance = self._instances[place % len(self._instances)]
        conversations = self._conversations[instance]
        return instance, conversations[next(self._numbers) % len(conversations)]

    def _row(self, place: int) -> Any:
        from conversations.models import Message  # noqa: PLC0415 - as above

        instance, conversation = self._conversation(place)
        number = next(self._numbers)
        at = dt.datetime.fromtimestamp(START, dt.UTC)
        named = {"key_id": f"3EB1{number:028X}", "from_me": False, "kind": "text", "text": "Bom dia!", "timestamp": at}
        return Message(instance=instance, conversation=conversation, sender_id=conversation.contact_id, **named)

    def _event(self, place: int) -> tuple[Any, Body]:
        instance, conversation = self._conversation(place)
        number = next(self._numbers)
        body: Body = json.loads(self._sample)
        body["instance"] = instance.name
        body["data"]["key"] = {"id": f"3EB2{number:028X}", "remoteJid": conversation.jid, "fromMe": False}
        body["data"]["messageTimestamp"] = START + number % 10_000_000
        return instance, body


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    began = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - began) / len(calls)


def report(sizes: Mapping[int, Seconds]) -> str:
    """Return the whole report."""
    small, large = sizes.values()
    faster = large[SAVED] / large[APPLIED]
    dearer = (large[STORED] + large[APPLIED]) / (small[STORED] + small[APPLIED])
    named = [f"{size:,} messages" for size in sizes]
    rows = [[name, *(f"{one[name] * 1e6:,.0f} µs" for one in sizes.values())] for name in small]
    (first, bound), (second, limit) = TARGETS
    targets = [
        [first, f"≥ {bound:g} times the events", f"{faster:.2f}", _verdict(is_met=faster >= bound)],
        [second, f"≤ {limit:g} times the time", f"{dearer:.2f}", _verdict(is_met=dearer <= limit)],
    ]
    return f"""# The inbox

`make bench-inbox` writes this page: a text message to a conversation that is there, one process, PostgreSQL that keeps
what it commits, and Valkey, all on the two cores of one machine. Medians, for one event.

{markdown(["", *named], rows)}

{markdown(["target", "wanted", "measured", ""], targets)}
"""


def _verdict(*, is_met: bool) -> str:
    return "met" if is_met else "**not met**"


if __name__ == "__main__":
    main(sys.argv[1:])
