"""A cooperative scheduler that runs several tasks in one thread, so that faults of two kinds overlap.

A task is an iterator; each item is the number of seconds until the task's next step.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

Task = Iterator[float]


def run(tasks: Iterable[Task], sleep: Callable[[float], None]) -> None:
    """Run all tasks until they are finished, and each step of a task when it is due.

    Args:
        tasks: the tasks to run.
        sleep: a function that waits for a number of seconds; if the number is negative, it must return immediately.
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
    """Run jobs in groups that are evenly distributed over the time from now to `until`.

    Args:
        jobs: functions that return a task. A job that has not started at the time `until` is skipped.
        until: the end of the last group, as a time of `time.monotonic`.
        group_size: the number of jobs in a group.
        gap: a function that returns how many seconds to wait between two jobs of a group.
    """
    start = time.monotonic()
    for index, job in enumerate(jobs):
        first = index - index % group_size
        yield gap() if index > first else max(0.0, start + (until - start) * first / len(jobs) - time.monotonic())
        if time.monotonic() >= until:
            return
        yield from job()
