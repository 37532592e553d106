"""Measures logging: an enabled call, a call below the level, calls during a disk stall, and throughput."""

import time
from collections.abc import Mapping

from tests.benchmarks.logs.adapters import Adapter

Figures = Mapping[str, float]

BURST_CALLS = 2000  # logging calls without a pause between calls
DISABLED_CALLS = 100_000
STALL = 5.0  # seconds during which writes to the disk block
CALLS_PER_SECOND = 2000  # rate of logging calls during and after the stall
LATE_CALL = 0.010  # seconds from which a logging call counts as late


def call(adapter: Adapter) -> Figures:
    """Return how long one logging call takes: wall time and CPU time of the calling thread, in seconds."""
    wall, cpu = time.perf_counter(), time.thread_time()
    for number in range(BURST_CALLS):
        adapter.log(number)
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    adapter.drain()
    return {"seconds": wall / BURST_CALLS, "cpu": cpu / BURST_CALLS}


def disabled(adapter: Adapter) -> Figures:
    """Return the seconds of a logging call below the logger's level; the time of the loop itself is subtracted."""
    numbers, log = range(DISABLED_CALLS), adapter.logger
    start = time.perf_counter()
    for number in numbers:
        log.debug("Cache hit %s", number)
    between = time.perf_counter()
    for _ in numbers:
        pass
    ended = time.perf_counter()
    return {"seconds": ((between - start) - (ended - between)) / DISABLED_CALLS}


def throughput(adapter: Adapter, count: int) -> Figures:
    """Make `count` logging calls without a pause; return how many records per second are logged and written."""
    start = time.perf_counter()
    for number in range(count):
        adapter.log(number)
    logged = time.perf_counter() - start
    adapter.drain()
    return {"records": count / (time.perf_counter() - start), "logged": count / logged}


def stalled(adapter: Adapter) -> Figures:
    """Return the longest logging call, and the number of late calls, during and after a disk stall."""
    durations = []
    start = time.perf_counter()
    adapter.stall(start + STALL)
    for number in range(int((STALL + 1) * CALLS_PER_SECOND)):
        time.sleep(max(0.0, start + number / CALLS_PER_SECOND - time.perf_counter()))
        before = time.perf_counter()
        adapter.log(number)
        durations.append(time.perf_counter() - before)
    adapter.drain()
    return {"longest": max(durations), "late": sum(duration >= LATE_CALL for duration in durations)}
