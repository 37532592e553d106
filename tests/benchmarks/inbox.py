"""What an event costs to store and to apply, and what that has to do with how much is stored already.

`python -m tests.benchmarks.inbox` starts Valkey, and PostgreSQL, which keeps what it commits; fills the tables,
measures, fills them further, and measures again: with as many conversations in play as before, and with all of them. It
prints a report and puts it into `docs/`.
"""

import argparse
import datetime as dt
import gc
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
IN_PLAY = 50  # conversations of an instance
EVENTS, ROUNDS = 10_000, 5  # a full batch of each instance
WORKERS = 2  # as many as `make stack` starts
START = 1_790_000_000  # seconds; later than all that is there
SAVED, SINGLE, STORED = "one save() of a message", "applied one by one", "stored"
ALONE, BOTH = "applied in batches by one worker", f"applied in batches by {WORKERS} workers"

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
        small = _measured(options.small, IN_PLAY, options.rounds)
        large, spread = (_measured(options.large, many, options.rounds) for many in (IN_PLAY, EVENTS))
        text = report(options.small, options.large, small, large, spread)
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


def _measured(size: int, in_play: int, rounds: int) -> Seconds:
    """Fill the tables up to a size, and return medians of what is done to so many conversations of each instance."""
    from django.db import connection  # noqa: PLC0415 - as above

    from conversations.demo import scale  # noqa: PLC0415 - as above
    from conversations.models import Message  # noqa: PLC0415 - as above

    for _ in scale.fill(size - Message.objects.count()):
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # else it would begin in the middle
        cursor.execute("CHECKPOINT")
    work = _Work(in_play)
    taken: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for name, seconds in work.round():
            taken.setdefault(name, []).append(seconds)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}  # the first round warms up


class _Work:
    """Messages to conversations that are there, picked by chance."""

    def __init__(self, in_play: int) -> None:
        from conversations.demo import crowd, scale  # noqa: PLC0415 - as above
        from conversations.models import Instance  # noqa: PLC0415 - as above

        names = [scale.NAME.format(place + 1) for place in range(crowd.INSTANCES)]
        self._instances = list(Instance.objects.filter(name__in=names))
        chosen: Callable[[int, int], int] = random.Random(2026).randint
        self._conversations = {}
        for instance in self._instances:
            pks = instance.conversations.order_by("pk").values_list("pk", flat=True)
            first, last = pks[0], pks.reverse()[0]
            wanted = [chosen(first, last) for _ in range(in_play)]
            self._conversations[instance] = list(instance.conversations.in_bulk(wanted).values())
        self._numbers = itertools.count(time.time_ns())
        self._sample = SAMPLE.read_text(encoding="utf-8")

    def round(self) -> Iterator[tuple[str, float]]:
        """Measure each thing once; yield what, and the seconds of an event."""
        from conversations.ingest.inbox import store  # noqa: PLC0415 - as above
        from conversations.ingest.receive import receive  # noqa: PLC0415 - as above

        few = EVENTS // 25
        rows = [self._row(place) for place in range(few)]
        yield SAVED, _timed([row.save for row in rows])
        yield SINGLE, _timed([partial(receive, *self._event(place)) for place in range(few)])
        for name, workers in ((ALONE, 1), (BOTH, WORKERS)):
            stored = _timed([partial(store, *self._event(place)) for place in range(EVENTS)])
            yield STORED, stored
            yield name, _timed([partial(_apply, workers)]) / EVENTS

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
        at = START + number % 10_000_000
        body["data"]["messageTimestamp"] = at
        body["date_time"] = f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        return instance, body


def _apply(workers: int) -> None:
    """Apply all that is stored by so many processes, each as `manage.py ingest` is one."""
    from django.db import connections  # noqa: PLC0415 - as above

    from conversations.ingest.conf import Options  # noqa: PLC0415 - as above
    from conversations.ingest.worker import Worker  # noqa: PLC0415 - as above

    connections.close_all()
    gc.freeze()
    children = []
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                Worker(Options(interval=0)).drain()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    gc.unfreeze()
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError(f"workers have failed: {failed}")


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    began = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - began) / len(calls)


def report(smaller: int, larger: int, small: Seconds, large: Seconds, spread: Seconds) -> str:
    """Return the whole report; `spread` is measured with the large tables, and all conversations in play."""
    named = [f"{smaller:,} messages", f"{larger:,} messages", f"{larger:,} messages, every conversation in play"]
    columns = small, large, spread
    rows = [[name, *(f"{one[name] * 1e6:,.0f} µs" for one in columns)] for name in small]
    faster = [[one[SAVED] / one[name] for one in columns] for name in (ALONE, BOTH)]
    dearer = [(one[STORED] + one[ALONE]) / (small[STORED] + small[ALONE]) for one in columns]
    compared = [
        ["one worker's events/s, of those of one `save()` an event", "≥ 5", *(f"{one:.2f}" for one in faster[0])],
        [f"those of {WORKERS} workers", "≥ 5", *(f"{one:.2f}" for one in faster[1])],
        ["an event stored and applied by one, of one with small tables", "≤ 1.3", *(f"{one:.2f}" for one in dearer)],
    ]
    return f"""# The inbox

`make bench-inbox` writes this page: text messages to conversations that are there, {IN_PLAY} of each of 20 instances
where no more is said; PostgreSQL that keeps what it commits, and Valkey, all on the two cores of one machine. Medians,
for one event. A `save()` writes the message and nothing else; an event that is applied is read from the inbox, moves
its conversation and the clocks of what it says, and gets its outcome, too. To save and to store is one process' work.

{markdown(["", *named], rows)}

{markdown(["", "wanted", *named], compared)}
"""


if __name__ == "__main__":
    main(sys.argv[1:])
