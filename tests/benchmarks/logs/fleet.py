"""Checks that no log record is lost when several processes log many records to the same files concurrently."""

import json
import logging
import multiprocessing
import time
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

from logs.tail import rotated_files
from tests.benchmarks.logs.adapters import FILE, Ours
from tests.benchmarks.logs.measures import Figures


def check(directory: Path, processes: int, count: int) -> Figures:
    """Log `count` records in each of `processes` processes; return the throughput and the number of lost records."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes + 1)
    writers = [context.Process(target=_write, args=(directory, name, count, start)) for name in range(processes)]
    for writer in writers:
        writer.start()
    start.wait()
    begin = time.perf_counter()
    for writer in writers:
        writer.join()
    seconds = time.perf_counter() - begin
    return {"records/s": processes * count / seconds, **_check_files(directory, processes, count)}


def _write(directory: Path, name: int, count: int, start: Barrier) -> None:
    adapter = Ours(directory)
    start.wait()
    for number in range(count):
        adapter.logger.info("%d %d", name, number, extra={"namespace": "conversations", "duration_ms": 0.42})
    adapter.close()
    logging.shutdown()


def _check_files(directory: Path, processes: int, count: int) -> Figures:
    """Return how many log records the files contain, and how many are lost, duplicated or invalid."""
    found: Counter[str] = Counter()
    files, invalid = rotated_files(directory / FILE), 0
    for path in files:
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                found[json.loads(line)["message"]] += 1
                invalid += not line.endswith(b"\n")
            except (ValueError, KeyError):
                invalid += 1
    expected = {f"{name} {number}" for name in range(processes) for number in range(count)}
    return {
        "records": found.total(),
        "lost": len(expected - found.keys()),
        "duplicated": sum(times - 1 for times in found.values()),
        "invalid JSON": invalid,
        "rotations": len(files) - 1,
    }
