"""Measures how long it takes to store and to apply a webhook event, with small and with large tables.

`python -m tests.benchmarks.inbox` starts Valkey, and PostgreSQL with durable commits. The benchmark measures with small
tables, then with large tables and as many active conversations, then with large tables and more active conversations.
The benchmark prints a report and writes the report to `docs/`.
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
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.production import production_servers
from tests.benchmarks.report import markdown
from tests.devstack import servers as stores

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SAMPLE = Path(__file__).resolve().parent.parent / "payloads" / "samples" / "messages.upsert.json"
SMALL, LARGE = 10_000, 10_000_000  # number of messages; the tables contain one conversation per ten messages
FEW, MANY = 50, 1000  # number of active conversations per instance
EVENTS, ROUNDS = 10_000, 5  # number of events that fill one batch of each instance
WORKERS = 2  # number of workers that `make stack` starts
START = 1_790_000_000  # timestamp before the first event and after all existing messages; each event adds one second
SAVED, SINGLE, STORED = "one save() of a message", "stored and applied one by one", "stored"
ONE_WORKER, ALL_WORKERS = "applied in batches by one worker", f"applied in batches by {WORKERS} workers"

Seconds = Mapping[str, float]  # name of a measure → seconds per event
Body = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.inbox", description=__doc__)
    parser.add_argument(
        "--small", type=int, default=SMALL, help="number of messages in the small tables (default %(default)s)"
    )
    parser.add_argument(
        "--large",
        type=int,
        default=LARGE,
        help="number of messages in the large tables; only the default (%(default)s) writes to docs/",
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="measured rounds; the report shows medians (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    with production_servers(stores.DURABLE):
        gc.freeze()  # the web server and the workers call gc.freeze() after their startup too
        small = _measured(options.small, FEW, options.rounds)
        large, many_active = (_measured(options.large, many, options.rounds) for many in (FEW, MANY))
        text = report(options.small, options.large, small, large, many_active)
    print(text)
    if options.large == LARGE:
        (DOCS / "benchmarks-inbox.md").write_text(text, encoding="utf-8")


def _measured(size: int, active: int, rounds: int) -> Seconds:
    """Fill the tables up to `size` messages; return medians for `active` active conversations per instance."""
    from django.db import connection  # noqa: PLC0415 - the import needs configured Django settings

    from conversations.demo import scale  # noqa: PLC0415 - the import needs configured Django settings
    from conversations.models import Message  # noqa: PLC0415 - the import needs configured Django settings

    if (missing := size - Message.objects.count()) > 0:
        for _ in scale.fill(missing):
            pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # a VACUUM now prevents an autovacuum while measuring
        cursor.execute("CHECKPOINT")
    workload = _Workload(active)
    durations: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for name, seconds in workload.round():
            durations.setdefault(name, []).append(seconds)
    # The first round is a warm-up, which the medians exclude.
    return {name: statistics.median(seconds[1:]) for name, seconds in durations.items()}


class _Workload:
    """Creates events with new messages of existing conversations, and measures how fast the events are processed."""

    _numbers = itertools.count(1)

    def __init__(self, active: int) -> None:
        from conversations.demo import scale  # noqa: PLC0415 - the import needs configured Django settings
        from conversations.models import Instance  # noqa: PLC0415 - the import needs configured Django settings

        names = [scale.INSTANCE_NAME.format(index + 1) for index in range(scale.INSTANCE_COUNT)]
        self._instances = list(Instance.objects.filter(name__in=names))
        sample = random.Random(2026).sample
        self._conversations = {}
        for instance in self._instances:
            pks = list(instance.conversations.order_by("pk").values_list("pk", flat=True))
            chosen = instance.conversations.in_bulk(sample(pks, active)).values()
            self._conversations[instance] = itertools.cycle(chosen)
        self._sample = SAMPLE.read_text(encoding="utf-8")

    def round(self) -> Iterator[tuple[str, float]]:
        """Run each measure once; yield the name of the measure and the seconds per event."""
        from conversations.ingest.inbox.store import store_body  # noqa: PLC0415 - the import needs configured Django settings
        from conversations.models import WebhookEvent  # noqa: PLC0415 - the import needs configured Django settings

        few = EVENTS // 25
        rows = [self._row(index) for index in range(few)]
        yield SAVED, _timed([row.save for row in rows])
        yield SINGLE, _timed([partial(_store_and_apply, *self._event(index)) for index in range(few)])
        for name, workers in ((ONE_WORKER, 1), (ALL_WORKERS, WORKERS)):
            stored = _timed([partial(store_body, *self._event(index)) for index in range(EVENTS)])
            yield STORED, stored
            yield name, _timed([partial(_apply, workers)]) / EVENTS
            if others := WebhookEvent.objects.exclude(outcome=WebhookEvent.Outcome.APPLIED).count():
                raise RuntimeError(f"{others} events were not applied")

    def _conversation(self, index: int) -> tuple[Any, Any]:
        instance = self._instances[index % len(self._instances)]
        return instance, next(self._conversations[instance])

    def _row(self, index: int) -> Any:
        from conversations.models import Message  # noqa: PLC0415 - the import needs configured Django settings

        instance, conversation = self._conversation(index)
        number = next(self._numbers)
        at = dt.datetime.fromtimestamp(START, dt.UTC)
        values = {"key_id": f"3EB1{number:028X}", "from_me": False, "kind": "text", "text": "Bom dia!", "timestamp": at}
        return Message(instance=instance, conversation=conversation, sender_id=conversation.contact_id, **values)

    def _event(self, index: int) -> tuple[Any, Body]:
        instance, conversation = self._conversation(index)
        number = next(self._numbers)
        body: Body = json.loads(self._sample)
        body["instance"] = instance.name
        body["data"]["key"] = {"id": f"3EB2{number:028X}", "remoteJid": conversation.jid, "fromMe": False}
        at = START + number
        body["data"]["messageTimestamp"] = at
        body["date_time"] = f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        return instance, body


def _store_and_apply(instance: Any, body: Body) -> None:
    """Store one event, and apply it in a batch of its own."""
    from conversations.ingest.inbox.store import store_body  # noqa: PLC0415 - the import needs configured Django settings
    from tests.conversations.ingest.receive import apply_stored  # noqa: PLC0415 - the import needs configured Django settings

    apply_stored(instance, store_body(instance, body))


def _apply(workers: int) -> None:
    """Apply all stored events with this number of worker processes, which do not pause between batches."""
    from django.db import connections  # noqa: PLC0415 - the import needs configured Django settings

    from conversations.ingest.conf import Options  # noqa: PLC0415 - the import needs configured Django settings
    from conversations.ingest.worker.worker import Worker  # noqa: PLC0415 - the import needs configured Django settings

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
        raise RuntimeError(f"workers failed: {failed}")


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    start = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - start) / len(calls)


def report(smaller: int, larger: int, small: Seconds, large: Seconds, many_active: Seconds) -> str:
    """Return the report as Markdown; `many_active` are the results with large tables and MANY active conversations."""
    headings = [f"{smaller:,}, {FEW} active", f"{larger:,}, {FEW} active", f"{larger:,}, {MANY:,} active"]
    columns = small, large, many_active
    rows = [[name, *(f"{column[name] * 1e6:,.0f} µs" for column in columns)] for name in small]
    events = (column[STORED] + column[ONE_WORKER] for column in columns)
    ratios = [
        ["events/s of one worker ÷ save() calls/s of one process", "≥ 5", *_faster(columns, ONE_WORKER)],
        [f"events/s of {WORKERS} workers ÷ save() calls/s of one process", "≥ 5", *_faster(columns, ALL_WORKERS)],
        ["time to store and apply an event by one worker ÷ first column", "≤ 1.3", *_slower(list(events))],
    ]
    return f"""# The inbox

`make bench-inbox` writes this page. The webhook events are text messages of 20 instances to existing conversations.
PostgreSQL (with durable commits), Valkey and all processes share the two cores of one machine. Each column's heading is
the number of messages at the beginning and the number of active conversations per instance. Each of the
{ROUNDS + 1} rounds adds {2 * EVENTS:,} messages; a batch has {EVENTS // 20} events of one instance. Times are medians
per event.

A `save()` only writes a message. Applying an event reads it from the inbox, writes the message, updates the
conversation and its clocks, and writes the event's outcome. One process saves and stores.

{markdown(["", *headings], rows)}

{markdown(["", "target", *headings], ratios)}
"""


def _faster(columns: Sequence[Seconds], name: str) -> list[str]:
    ratios = [column[SAVED] / column[name] for column in columns]
    return [_verdict(ratio, is_met=ratio >= 5) for ratio in ratios]


def _slower(events: Sequence[float]) -> list[str]:
    return [_verdict(seconds / events[0], is_met=seconds / events[0] <= 1.3) for seconds in events]


def _verdict(ratio: float, *, is_met: bool) -> str:
    return f"{ratio:.2f}" if is_met else f"{ratio:.2f}, **not met**"


if __name__ == "__main__":
    main(sys.argv[1:])
