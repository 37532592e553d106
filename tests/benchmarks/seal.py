"""Measures what authentication adds to a hit in the shared store: `python -m tests.benchmarks.seal` prints a table.

Each read is measured in one process, with and without authentication in turn, so that a slow moment of the machine
affects both. Process and server run on one core, because waking another core takes longer than what is measured (see
`report.NOTES`); `--cores` leaves that to the operating system.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles

from tests import isolation
from tests.servers import valkey

ROUNDS = 1000
ROUND_SECONDS = 0.002
CONTENT_BYTES = 8000
Read = Callable[[], object]


def main(arguments: list[str]) -> None:
    """Measure reads of data that this process has not seen, and then of data that it has; print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.seal", description=__doc__)
    parser.add_argument("--cores", action="store_true", help="let the server run on another core")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each measure (%(default)s)")
    options = parser.parse_args(arguments)
    if not options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the server, a child process, runs on this core too
    with valkey() as url:
        os.environ["REDIS_URL"] = url
        isolation.set_up(database="sqlite:///{scratch}/bench.sqlite3")
        reads = _reads()
        gc.collect()
        gc.freeze()
        print(f"{'':<34}{'without':>10}{'added':>10}{'share':>8}{'half of the rounds':>22}")
        with _forgetting():
            for name, read in reads.items():
                print(_line(f"{name}, never seen", read, options.rounds), flush=True)
        for name, read in reads.items():
            print(_line(name, read, options.rounds), flush=True)


def _reads() -> dict[str, Read]:
    """Store rows, a list and an answer; return a function for each, which reads it from the store."""
    from conversations.api.answers import answers  # noqa: PLC0415 - these imports need configured Django settings
    from tests.benchmarks import rows  # noqa: PLC0415
    from tests.benchmarks.adapters.whatsai import Shared  # noqa: PLC0415

    dataset = rows.create()
    shared, content = Shared(dataset), os.urandom(CONTENT_BYTES // 2).hex().encode()
    pk, fifty = dataset.hot_rows[0], dataset.hot_rows[:50]

    def read_answer() -> None:
        found = answers.look_up("page")
        if found.answer is None:  # it has expired
            with answers.collecting(found) as collected:
                shared.page(dataset.instance)
            answers.store("page", content, b"notes", collected)

    return {
        "a row": lambda: shared.row(pk),
        "a list of 50": lambda: shared.page(dataset.instance),
        "50 rows at once": lambda: shared.many(fifty),
        f"an answer of {CONTENT_BYTES} bytes": read_answer,
    }


@contextmanager
def _forgetting() -> Iterator[None]:
    """Let this process keep nothing of what it reads."""
    from cachelayer.protocol import digests  # noqa: PLC0415 - see `_reads`
    from cachelayer.read import serializers  # noqa: PLC0415

    lengths = serializers.MAX_ROW_BYTES, serializers.MAX_PAGE_BYTES, digests.MAX_LENGTH
    serializers.MAX_ROW_BYTES = serializers.MAX_PAGE_BYTES = digests.MAX_LENGTH = -1
    try:
        yield
    finally:
        serializers.MAX_ROW_BYTES, serializers.MAX_PAGE_BYTES, digests.MAX_LENGTH = lengths


@contextmanager
def _without_authentication() -> Iterator[None]:
    """Believe everything that the store returns."""
    from cachelayer.answers import Answers  # noqa: PLC0415 - see `_reads`
    from cachelayer.protocol.seal import SEAL_SIZE, Seal  # noqa: PLC0415

    open_, is_content_of = Seal.open, Answers.is_content_of
    Seal.open = lambda _seal, _name, sealed: sealed[SEAL_SIZE:]  # type: ignore[method-assign,assignment]
    Answers.is_content_of = lambda _answers, _etag, _content: True  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Seal.open, Answers.is_content_of = open_, is_content_of  # type: ignore[method-assign]


def _line(name: str, read: Read, rounds: int) -> str:
    """Return the median time of a hit without authentication, and what authentication adds."""
    read()
    calls = max(1, round(ROUND_SECONDS / _seconds(read, 50)))
    pairs = []
    for number in range(rounds):
        with_it = _seconds(read, calls) if number % 2 else 0.0  # every other round in the other order
        with _without_authentication():
            without = _seconds(read, calls)
        pairs.append((without, with_it or _seconds(read, calls)))
    usual = median(without for without, _ in pairs)
    low, share, high = quantiles(((with_it - without) / usual for without, with_it in pairs), n=4)
    return f"{name:<34}{usual * 1e6:>7.1f} µs{share * usual * 1e6:>7.2f} µs{share:>8.1%}{low:>13.1%} to{high:>6.1%}"


def _seconds(read: Read, calls: int) -> float:
    """Return the time of one call."""
    read()  # so that each round begins alike
    started = time.perf_counter()
    for _ in range(calls):
        read()
    return (time.perf_counter() - started) / calls


if __name__ == "__main__":
    main(sys.argv[1:])
