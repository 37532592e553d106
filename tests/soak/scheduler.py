"""A cooperative scheduler that runs several tasks in one thread, so that faults of two kinds overlap.

A task is an iterator: it yields the seconds until its next step.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

Task = Iterator[float]


def run(tasks: Iterable[Task], sleep: Callable[[float], None]) -> None:
    """Run all tasks until they are finished, each step when it is due.

    Args:
        tasks: the tasks.
        sleep: waits for a number of seconds, which may be negative.
    """
    heap = [(0.0, index, task) for index, task in enumerate(tasks)]
    while heap:
        due, index, task = heapq.heappop(heap)
        sleep(due - time.monotonic())
        for seconds in task:
            heapq.heappush(heap, (time.monotonic() + seconds, index, task))
            break


def spread_evenly(
    jobs: Sequence[Callable[[], Task]], until: float, *, group_size: int, gap: Callable[[], float]
) -> Task:
    """Run jobs in groups, and distribute the groups evenly over the time that is left.

    Args:
        jobs: the jobs, each of which returns a task. Jobs that have not started at `until` are skipped.
        until: the end, on the monotonic clock.
        group_size: the number of jobs in a group.
        gap: returns the seconds to wait between two jobs of a group.
    """
    start = time.monotonic()
    for index, job in enumerate(jobs):
        first = index - index % group_size
        yield gap() if index > first else max(0.0, start + (until - start) * first / len(jobs) - time.monotonic())
        if time.monotonic() >= until:
            return
        yield from job()
