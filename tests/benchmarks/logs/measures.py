"""What is measured: a call, a call that is not wanted, calls while the disk stalls, and all that is written."""

import time

from tests.benchmarks.logs.sides import Side

Figures = dict[str, float]

BURST = 2000  # calls, as fast as they come
OFF = 100_000
STALL = 5.0  # seconds that a disk takes nothing
PACE = 2000  # calls a second meanwhile
LATE = 0.010  # seconds: a call that somebody would notice


def call(side: Side) -> Figures:
    """Return what a call costs its caller, in seconds that go by, and in those of its thread at work."""
    wall, work = time.perf_counter(), time.thread_time()
    for place in range(BURST):
        side.log(place)
    wall, work = time.perf_counter() - wall, time.thread_time() - work
    side.drain()
    return {"seconds": wall / BURST, "work": work / BURST}


def off(side: Side) -> Figures:
    """Return what a call costs whose level is off, without the loop around it."""
    places, log = range(OFF), side.logger
    began = time.perf_counter()
    for place in places:
        log.debug("Cache hit %s", place)
    between = time.perf_counter()
    for _ in places:
        pass
    ended = time.perf_counter()
    return {"seconds": ((between - began) - (ended - between)) / OFF}


def written(side: Side, count: int) -> Figures:
    """Return how many records a second are on the disk, of so many logged in one go."""
    began = time.perf_counter()
    for place in range(count):
        side.log(place)
    logged = time.perf_counter() - began
    side.drain()
    return {"records": count / (time.perf_counter() - began), "logged": count / logged}


def stalled(side: Side) -> Figures:
    """Return the longest call, while the disk takes nothing for a time and afterwards."""
    took = []
    began = time.perf_counter()
    side.stall(began + STALL)
    for place in range(int((STALL + 1) * PACE)):
        time.sleep(max(0.0, began + place / PACE - time.perf_counter()))
        before = time.perf_counter()
        side.log(place)
        took.append(time.perf_counter() - before)
    side.drain()
    return {"longest": max(took), "late": sum(one >= LATE for one in took)}
