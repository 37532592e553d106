"""Measures what authentication adds to a hit in the shared store: `python -m tests.benchmarks.seal` prints a table.

Each read is measured in one process, with and without authentication in turn, so that a slow moment of the machine
affects both. Each call is timed by itself. Other programs only lengthen calls, so the table shows the time that a fifth
of the calls stay below. Process and server run on one core, because waking another core takes longer than what is
measured (see `report.NOTES`); `--cores` leaves that to the operating system.
"""

import argparse
import gc
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import quantiles

from tests import isolation
from tests.servers import valkey

ROUNDS = 1000
CALLS = 10  # timed calls with, and as many without authentication in each round
SIZES = (200, 1000, 8000, 64_000)  # characters of values and contents of answers
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
        from cachelayer import cache  # noqa: PLC0415 - this import needs configured Django settings

        reads, authentication = _reads(), Authentication()
        gc.collect()
        gc.freeze()
        print(f"{'':<37}{'without':>10}{'added':>10}{'share':>8}")
        with cache.fresh():
            with _forgetting():
                for name, read in reads.items():
                    print(_line(f"{name}, never seen", read, authentication, options.rounds), flush=True)
            for name, read in reads.items():
                print(_line(name, read, authentication, options.rounds), flush=True)


def _reads() -> dict[str, Read]:
    """Store rows and a list; return functions that read these, values and answers from the store."""
    from tests.benchmarks import rows  # noqa: PLC0415 - these imports need configured Django settings
    from tests.benchmarks.adapters.whatsai import Shared  # noqa: PLC0415

    dataset = rows.create()
    shared, pk, fifty = Shared(dataset), dataset.hot_rows[0], dataset.hot_rows[:50]
    read_list = partial(shared.page, dataset.instance)
    texts = {size: os.urandom(size // 2).hex() for size in SIZES}
    return {
        "a row": lambda: shared.row(pk),
        "a list of 50": read_list,
        "50 rows at once": lambda: shared.many(fifty),
        **{f"a value of {size} bytes": _value_reader(text) for size, text in texts.items()},
        **{f"an answer of {size} bytes": _answer_reader(text, read_list) for size, text in texts.items()},
    }


def _value_reader(text: str) -> Read:
    """Return a function that reads a value; it is stored if it has expired."""
    from cachelayer import cache  # noqa: PLC0415 - see `_reads`

    key = f"conversations:{len(text)}"

    def read() -> None:
        if cache.get(key) is None:
            cache.set(key, text)

    return read


def _answer_reader(text: str, read_list: Read) -> Read:
    """Return a function that reads an answer, which depends on a list; it is stored if it has expired."""
    from conversations.api.answers import answers  # noqa: PLC0415 - see `_reads`

    key, content = str(len(text)), text.encode()

    def read() -> None:
        found = answers.look_up(key)
        if found.answer is None:
            with answers.collecting(found) as collected:
                read_list()
            answers.store(key, content, b"notes", collected)

    return read


@contextmanager
def _forgetting() -> Iterator[None]:
    """Let this process keep nothing of what it reads."""
    from cachelayer import answers  # noqa: PLC0415 - see `_reads`
    from cachelayer.protocol import digests  # noqa: PLC0415
    from cachelayer.read import serializers  # noqa: PLC0415

    limits = (
        (answers, "MAX_KEPT_LENGTH"), (digests, "MAX_LENGTH"),
        (serializers, "MAX_ROW_BYTES"), (serializers, "MAX_PAGE_BYTES"),
    )  # fmt: skip
    before = [getattr(module, name) for module, name in limits]
    for module, name in limits:
        setattr(module, name, -1)
    try:
        yield
    finally:
        for (module, name), value in zip(limits, before, strict=True):
            setattr(module, name, value)


class Authentication:
    """Whether what the store returns is authenticated, or believed."""

    def __init__(self) -> None:
        from cachelayer.protocol import answers  # noqa: PLC0415 - see `_reads`
        from cachelayer.protocol.seal import SEAL_SIZE, Seal  # noqa: PLC0415

        self.is_on = True
        open_, is_content_of = Seal.open, answers.is_content_of

        def open_or_believe(seal: Seal, name: str, sealed: bytes) -> bytes | None:
            return open_(seal, name, sealed) if self.is_on else sealed[SEAL_SIZE:]

        Seal.open = open_or_believe  # type: ignore[method-assign,assignment]
        answers.is_content_of = lambda etag, content: is_content_of(etag, content) if self.is_on else True


def _line(name: str, read: Read, authentication: Authentication, rounds: int) -> str:
    """Return the time of a hit without authentication, and what authentication adds."""
    without, with_it = array("d"), array("d")
    for _ in range(rounds):
        for authentication.is_on, times in ((False, without), (True, with_it)):
            _measure(read, times)
    usual = quantiles(without, n=5)[0]
    added = quantiles(with_it, n=5)[0] - usual
    return f"{name:<37}{usual * 1e6:>7.1f} µs{added * 1e6:>7.2f} µs{added / usual:>8.1%}"


def _measure(read: Read, times: "array[float]") -> None:
    """Append the durations of some calls."""
    read()  # so that each round begins alike
    for _ in range(CALLS):
        started = time.perf_counter()
        read()
        times.append(time.perf_counter() - started)


if __name__ == "__main__":
    main(sys.argv[1:])
