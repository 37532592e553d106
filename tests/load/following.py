"""Runs all followers of one run of the load test."""

import asyncio
import math
from collections.abc import Callable, Sequence

from conversations.demo.rng import rng_for
from tests.load.api_client import ApiClient
from tests.load.copies import Key
from tests.load.followers import Follower, LongPoll, Stream
from tests.load.receiver import Receiver

LATE = 4  # every fourth follower begins late
POLL_SECONDS = 0.1
SHARES: dict[type[Follower], float] = {LongPoll: 1.0, Stream: 1.0, Receiver: 0.25}  # sites have few webhooks


class Followers:
    """All followers of one run.

    Args:
        api: sends requests to the site.
        instances: the primary keys of the instances that post.
        count: the number of followers by long poll, and by stream; a quarter as many receive webhooks.
        late_after: seconds after which those begin that begin late.
    """

    def __init__(self, api: ApiClient, instances: Sequence[int], count: int, late_after: float) -> None:
        self.all: list[Follower] = []
        self._delays: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        for kind, share in SHARES.items():
            for number in range(math.ceil(count * share)):
                instance = instances[number % len(instances)] if number % 2 else None
                self.all.append(kind(api, instance, rng_for("followers", kind.kind, number)))
                self._delays.append(late_after if number % LATE == LATE - 1 else 0.0)

    async def start(self, patience: float) -> None:
        """Let all follow; return when those that do not begin late have their first copy."""
        self._tasks = [asyncio.create_task(one.run(delay)) for one, delay in zip(self.all, self._delays, strict=True)]
        early = [one for one, delay in zip(self.all, self._delays, strict=True) if not delay]
        await self._wait_until(lambda: all(one.copy.cursor for one in early), patience)

    async def finish(self, last: Sequence[tuple[int, Key]], patience: float) -> None:
        """Stop all when they have these rows, each with its instance, which were written last."""
        await self._wait_until(lambda: all(one.has(last) for one in self.all), patience)
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        if faults := [one for one in ended if not isinstance(one, asyncio.CancelledError) and one is not None]:
            raise BaseExceptionGroup("followers", faults)

    def _has_fault(self) -> bool:
        return any(task.done() for task in self._tasks)

    async def _wait_until(self, is_true: Callable[[], bool], patience: float) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        while not is_true() and clock() < end and not self._has_fault():  # noqa: ASYNC110 - it depends on many tasks
            await asyncio.sleep(POLL_SECONDS)
