"""The full size: processes that write the same files at once, and every record is looked for afterwards."""

import json
import logging
import multiprocessing
import time
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

from logs.tail import rotated_files
from tests.benchmarks.logs.sides import FILE, Ours

Figures = dict[str, float]


def check(directory: Path, processes: int, count: int) -> Figures:
    """Let so many processes log so many records each, and return what became of them."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes + 1)
    writers = [context.Process(target=_write, args=(directory, name, count, start)) for name in range(processes)]
    for writer in writers:
        writer.start()
    start.wait()
    began = time.perf_counter()
    for writer in writers:
        writer.join()
    seconds = time.perf_counter() - began
    return {"records a second": processes * count / seconds, **_found(directory, processes, count)}


def _write(directory: Path, name: int, count: int, start: Barrier) -> None:
    side = Ours(directory)
    start.wait()
    for place in range(count):
        side.logger.info("%d %d", name, place, extra={"namespace": "conversations", "duration_ms": 0.42})
    side.close()
    logging.shutdown()


def _found(directory: Path, processes: int, count: int) -> Figures:
    """Look at every line."""
    found: Counter[str] = Counter()
    files, invalid = rotated_files(directory / FILE), 0
    for path in files:
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                found[json.loads(line)["message"]] += 1
                invalid += not line.endswith(b"\n")
            except (ValueError, KeyError):
                invalid += 1
    wanted = {f"{name} {place}" for name in range(processes) for place in range(count)}
    return {
        "records": found.total(),
        "lost": len(wanted - found.keys()),
        "doubled": sum(times - 1 for times in found.values()),
        "not JSON": invalid,
        "rotations": len(files) - 1,
    }
