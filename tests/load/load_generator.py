"""Sends requests on a fixed schedule, as the Evolution API does: a slow response does not delay later requests."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from conversations.demo.rng import rng_for
from tests.load import retry
from tests.load.http_client import ConnectionPool
from tests.load.retry import RetryDecision
from tests.load.schedule import Post

MAX_CONNECTIONS = 500
START_DELAY = 0.2  # seconds from the call of `LoadGenerator.run` to the first request
NO_ANSWER = "no answer"


@dataclass
class Tally:
    """The results of all requests of a load test.

    Attributes:
        delivered: the indexes of the posts (webhook requests) that the site accepted.
        lost: the last status or error of each post that Evolution would not send again, by the index of the post.
        answers: how often each response status occurred, and how often each connection error.
        latencies: seconds from each request to its response.
        lateness: for each post, seconds between the scheduled and the actual time of the first attempt.
        retries: the number of attempts to send a post again.
        seconds: the time from the first attempt of the first post to the first attempt of the last post.
    """

    delivered: set[int] = field(default_factory=set)
    lost: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    retries: int = 0
    seconds: float = 0.0


class LoadGenerator:
    """Sends every post, and sends a failed post again as the Evolution API would.

    Args:
        pool: the connections to the site.
        retry_scale: a factor for Evolution's time-out and for its delays between attempts.
        on_sent: a function that is called with each post and the loop time, before its first attempt.
        on_accepted: a function that is called with each accepted post and the loop time at which its response arrived.
        on_finished: a function that is called when the site has accepted a post, or Evolution would give the post up.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        retry_scale: float,
        on_sent: Callable[[Post, float], None],
        on_accepted: Callable[[Post, float], None],
        on_finished: Callable[[], object],
    ) -> None:
        self._pool = pool
        self._retry_scale = retry_scale
        self._on_sent = on_sent
        self._on_accepted = on_accepted
        self._on_finished = on_finished
        self._random = rng_for("retries")
        self.tally = Tally()

    async def run(self, posts: Sequence[Post], requests: Sequence[bytes]) -> None:
        """Send all posts; return when each post is accepted by the site or would be given up by Evolution.

        Args:
            posts: the posts to send, ordered by the time `due`.
            requests: the bytes of the HTTP request of each post, in the order of the posts.
        """
        clock = asyncio.get_running_loop().time
        start = clock() + START_DELAY
        tasks: set[asyncio.Task[None]] = set()
        for index, post in enumerate(posts):
            if (remaining := start + post.due - clock()) > 0:
                await asyncio.sleep(remaining)
            now = clock()
            self.tally.lateness.append(now - start - post.due)
            self._on_sent(post, now)
            task = asyncio.create_task(self._deliver(index, post, requests[index]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        self.tally.seconds = clock() - start
        while tasks:
            await asyncio.wait(tasks)

    async def _deliver(self, index: int, post: Post, request: bytes) -> None:
        attempt = 0
        while True:
            attempt += 1
            status, answer = await self._attempt(request)
            self.tally.answers[answer] += 1
            match retry.decide(status, attempt):
                case RetryDecision.DELIVERED:
                    self.tally.delivered.add(index)
                    self._on_accepted(post, asyncio.get_running_loop().time())
                    break
                case RetryDecision.DROPPED | RetryDecision.GIVEN_UP:
                    self.tally.lost[index] = answer
                    break
            self.tally.retries += 1
            await asyncio.sleep(retry.delay(attempt, self._random.random()) * self._retry_scale)
        self._on_finished()

    async def _attempt(self, request: bytes) -> tuple[int | None, str]:
        """Send a request once; return the response's status or None, and the status or the error as text."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            response = await self._pool.send(request, retry.TIMEOUT * self._retry_scale)
        except OSError as error:
            return None, f"{NO_ANSWER}: {type(error).__name__}"
        self.tally.latencies.append(clock() - started)
        return response.status, str(response.status)
