"""What an event costs to store and to apply, and what that has to do with how much is stored already.

`python -m tests.benchmarks.inbox` starts Valkey, and PostgreSQL, which keeps what it commits; fills the tables,
measures, fills them further, and measures again: with as many conversations in play as before, and with more. It prints
a report and puts it into `docs/`.
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
from whatsai.devstack import folders
from whatsai.devstack import servers as stores

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SAMPLE = Path(__file__).resolve().parent.parent / "payloads" / "samples" / "messages.upsert.json"
SMALL, LARGE = 10_000, 10_000_000  # messages; a tenth as many conversations
FEW, MANY = 50, 1000  # conversations of an instance that are in play
EVENTS, ROUNDS = 10_000, 5  # a full batch of each instance
WORKERS = 2  # as many as `make stack` starts
START = 1_790_000_000  # seconds; later than all that is there, and each event is later than the one before
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
        gc.freeze()  # as servers and workers do
        small = _measured(options.small, FEW, options.rounds)
        large, spread = (_measured(options.large, many, options.rounds) for many in (FEW, MANY))
        text = report(options.small, options.large, small, large, spread)
    print(text)
    if options.large == LARGE:
        (DOCS / "benchmarks-inbox.md").write_text(text, encoding="utf-8")


@contextmanager
def _servers() -> Iterator[None]:
    """Run the servers as in production, and set Django up on them."""
    with folders.short_tempdir() as folder, servers.valkey() as redis_url:
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

    if (missing := size - Message.objects.count()) > 0:
        for _ in scale.fill(missing):
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
    """Messages to conversations that are there, picked by chance, and each in turn."""

    _numbers = itertools.count(1)

    def __init__(self, in_play: int) -> None:
        from conversations.demo import scale  # noqa: PLC0415 - as above
        from conversations.models import Instance  # noqa: PLC0415 - as above

        names = [scale.INSTANCE_NAME.format(place + 1) for place in range(scale.INSTANCE_COUNT)]
        self._instances = list(Instance.objects.filter(name__in=names))
        sample = random.Random(2026).sample
        self._conversations = {}
        for instance in self._instances:
            pks = list(instance.conversations.order_by("pk").values_list("pk", flat=True))
            chosen = instance.conversations.in_bulk(sample(pks, in_play)).values()
            self._conversations[instance] = itertools.cycle(chosen)
        self._sample = SAMPLE.read_text(encoding="utf-8")

    def round(self) -> Iterator[tuple[str, float]]:
        """Measure each thing once; yield what, and the seconds of an event."""
        from conversations.ingest.inbox.store import store_body  # noqa: PLC0415 - as above
        from conversations.models import WebhookEvent  # noqa: PLC0415 - as above
        from tests.conversations.ingest.receive import receive  # noqa: PLC0415 - as above

        few = EVENTS // 25
        rows = [self._row(place) for place in range(few)]
        yield SAVED, _timed([row.save for row in rows])
        yield SINGLE, _timed([partial(receive, *self._event(place)) for place in range(few)])
        for name, workers in ((ALONE, 1), (BOTH, WORKERS)):
            stored = _timed([partial(store_body, *self._event(place)) for place in range(EVENTS)])
            yield STORED, stored
            yield name, _timed([partial(_apply, workers)]) / EVENTS
            if others := WebhookEvent.objects.exclude(outcome=WebhookEvent.Outcome.APPLIED).count():
                raise RuntimeError(f"{others} events were not applied")

    def _conversation(self, place: int) -> tuple[Any, Any]:
        instance = self._instances[place % len(self._instances)]
        return instance, next(self._conversations[instance])

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
        at = START + number
        body["data"]["messageTimestamp"] = at
        body["date_time"] = f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        return instance, body


def _apply(workers: int) -> None:
    """Apply all that is stored by so many processes, each a worker that does not rest."""
    from django.db import connections  # noqa: PLC0415 - as above

    from conversations.ingest.conf import Options  # noqa: PLC0415 - as above
    from conversations.ingest.worker.worker import Worker  # noqa: PLC0415 - as above

    connections.close_all()
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
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError(f"workers have failed: {failed}")


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    began = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - began) / len(calls)


def report(smaller: int, larger: int, small: Seconds, large: Seconds, spread: Seconds) -> str:
    """Return the whole report; `spread` is measured with the large tables, and MANY conversations in play."""
    named = [f"{smaller:,}, {FEW} of each", f"{larger:,}, {FEW} of each", f"{larger:,}, {MANY:,} of each"]
    columns = small, large, spread
    rows = [[name, *(f"{one[name] * 1e6:,.0f} µs" for one in columns)] for name in small]
    events = (one[STORED] + one[ALONE] for one in columns)
    compared = [
        ["one worker's events/s, of the messages/s that a process saves", "≥ 5", *_faster(columns, ALONE)],
        [f"those of {WORKERS} workers, of the same one process", "≥ 5", *_faster(columns, BOTH)],
        ["an event, stored and applied by one worker, of the first column's", "≤ 1.3", *_dearer(list(events))],
    ]
    return f"""# The inbox

`make bench-inbox` writes this page: text messages of 20 instances to conversations that are there, PostgreSQL that
keeps what it commits, and Valkey, all on the two cores of one machine. A column is named by how many messages were
there at first (each of {ROUNDS + 1} rounds adds {2 * EVENTS:,}), and how many conversations of each instance are in
play; a batch has {EVENTS // 20} events of an instance. Medians, for one event.

A `save()` writes a message and nothing else. An event that is applied is read from the inbox, moves its conversation
and the clocks of what it says, and gets its outcome, too. To save and to store is one process' work.

{markdown(["", *named], rows)}

{markdown(["", "wanted", *named], compared)}
"""


def _faster(columns: Sequence[Seconds], name: str) -> list[str]:
    ratios = [one[SAVED] / one[name] for one in columns]
    return [_judged(ratio, is_met=ratio >= 5) for ratio in ratios]


def _dearer(events: Sequence[float]) -> list[str]:
    return [_judged(one / events[0], is_met=one / events[0] <= 1.3) for one in events]


def _judged(ratio: float, *, is_met: bool) -> str:
    return f"{ratio:.2f}" if is_met else f"{ratio:.2f}, **not met**"


if __name__ == "__main__":
    main(sys.argv[1:])
