"""Posts by the clock, as Evolution does: whatever the answers are, the next post is sent when it is due."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from conversations.demo.rng import rng_for
from tests.load import retry
from tests.load.http_client import Pool
from tests.load.retry import RetryDecision
from tests.load.schedule import Post

CONNECTIONS = 500  # at once
LEAD = 0.2  # seconds before the first post
NO_ANSWER = "no answer"


@dataclass
class Tally:
    """What happened to the posts.

    Attributes:
        delivered: the numbers of the posts that were taken.
        lost: of those that Evolution drops or gives up, by the last answer.
        answers: how often which; a status, or why there was none.
        latencies: seconds from sending to the answer, of each that was answered.
        lateness: seconds by which each post was sent after it was due: the generator's own fault.
        retries: posts sent again.
        seconds: from the first post to the last one sent for the first time.
    """

    delivered: set[int] = field(default_factory=set)
    lost: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    retries: int = 0
    seconds: float = 0.0


class LoadGenerator:
    """Sends every post, and again what Evolution would send again.

    Args:
        pool: the connections.
        retry_scale: by which Evolution's waiting times are shortened.
        taken: is told each post that was taken, with the moment of the answer by the loop's clock.
        step: is called whenever a post is done with.
    """

    def __init__(
        self, pool: Pool, retry_scale: float, taken: Callable[[Post, float], None], step: Callable[[], object]
    ) -> None:
        self._pool = pool
        self._scale = retry_scale
        self._taken = taken
        self._step = step
        self._luck = rng_for("retries")
        self.tally = Tally()

    async def run(self, posts: Sequence[Post], requests: Sequence[bytes]) -> None:
        """Send everything; return when each post is taken, or lost."""
        clock = asyncio.get_running_loop().time
        begin = clock() + LEAD
        under_way: set[asyncio.Task[None]] = set()
        for number, post in enumerate(posts):
            if (early := begin + post.due - clock()) > 0:
                await asyncio.sleep(early)
            self.tally.lateness.append(clock() - begin - post.due)
            task = asyncio.create_task(self._deliver(number, post, requests[number]))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        self.tally.seconds = clock() - begin
        while under_way:
            await asyncio.wait(under_way)

    async def _deliver(self, number: int, post: Post, request: bytes) -> None:
        attempt = 0
        while True:
            attempt += 1
            status, said = await self._attempt(request)
            self.tally.answers[said] += 1
            match retry.after(status, attempt):
                case RetryDecision.DELIVERED:
                    self.tally.delivered.add(number)
                    self._taken(post, asyncio.get_running_loop().time())
                    break
                case RetryDecision.DROPPED | RetryDecision.GIVEN_UP:
                    self.tally.lost[number] = said
                    break
            self.tally.retries += 1
            await asyncio.sleep(retry.wait(attempt, self._luck.random()) * self._scale)
        self._step()

    async def _attempt(self, request: bytes) -> tuple[int | None, str]:
        clock = asyncio.get_running_loop().time
        sent = clock()
        try:
            answer = await self._pool.ask(request, retry.TIMEOUT * self._scale)
        except OSError as error:
            return None, f"{NO_ANSWER}: {type(error).__name__}"
        self.tally.latencies.append(clock() - sent)
        return answer.status, str(answer.status)
