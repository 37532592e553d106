"""Several things that take their time, one step of each after the other: faults side by side, in one thread.

What takes its time is an iterator of the seconds until its next step.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

Steps = Iterator[float]


def run(lanes: Iterable[Steps], rest: Callable[[float], None]) -> None:
    """Take the steps of all lanes, each as soon as it is due, until all are over.

    Args:
        lanes: what is to be done, side by side.
        rest: lets so many seconds go by.
    """
    heap = [(0.0, number, lane) for number, lane in enumerate(lanes)]
    while heap:
        due, number, lane = heapq.heappop(heap)
        rest(due - time.monotonic())
        for seconds in lane:
            heapq.heappush(heap, (time.monotonic() + seconds, number, lane))
            break


def spread(jobs: Sequence[Callable[[], Steps]], until: float, *, at_once: int, gap: Callable[[], float]) -> Steps:
    """Do jobs one after the other, some at once and then none for a while, spread evenly until then.

    Args:
        jobs: what is to be done; what has not begun by then is left out.
        until: when it is to be over, on the monotonic clock.
        at_once: how many jobs follow upon one another.
        gap: draws the seconds between those.
    """
    began = time.monotonic()
    for place, job in enumerate(jobs):
        first = place - place % at_once
        yield gap() if place > first else max(0.0, began + (until - began) * first / len(jobs) - time.monotonic())
        if time.monotonic() >= until:
            return
        yield from job()
