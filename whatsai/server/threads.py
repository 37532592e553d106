"""The threads that run requests: how many requests may wait for them, and which threads are stuck in a request.

Requests that may take long have a share of the threads, so that others always find a free one.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class TooManyRequestsError(Exception):
    """Raised if as many requests as are allowed run or wait for a thread."""


class RequestThreads:
    """A pool of threads, with a limit of the requests that run or wait.

    Args:
        name: the beginning of the threads' names.
        count: the number of threads.
        limit: the number of requests that may run or wait at once.
    """

    def __init__(self, name: str, count: int, limit: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._free = threading.Semaphore(limit)
        self._started_at: dict[int, float] = {}  # of the running requests, by thread; times of `monotonic`

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call a function in a thread and return its result.

        Raises:
            TooManyRequestsError: too many requests run or wait.
        """
        self.admit()
        return await self.run_admitted(lambda: function(*args, **kwargs))

    def admit(self) -> None:
        """Count a request that will run or wait.

        Raises:
            TooManyRequestsError: too many requests run or wait.
        """
        if not self._free.acquire(blocking=False):
            raise TooManyRequestsError

    def dismiss(self) -> None:
        """Forget a request that was admitted and will not run."""
        self._free.release()

    async def run_admitted(self, function: Callable[[], Result]) -> Result:
        """Call the function of a request that was admitted in a thread, and return its result."""
        future = self._pool.submit(self._call, function)
        # A thread may be busy for longer than its client waits, so the future counts, and not this coroutine.
        future.add_done_callback(lambda _future: self._free.release())
        return await asyncio.wrap_future(future)

    def count_stuck(self, seconds: float) -> int:
        """Return how many threads have run one request for at least `seconds`."""
        latest = monotonic() - seconds
        return sum(started_at <= latest for started_at in list(self._started_at.values()))

    def _call(self, function: Callable[[], Result]) -> Result:
        thread = threading.get_ident()
        self._started_at[thread] = monotonic()
        try:
            return function()
        finally:
            del self._started_at[thread]


class Share:
    """A share of the threads, for requests that may take long. Only the event loop may use it.

    Args:
        threads: all threads, or a larger share of them.
        running: the number of threads that the requests may have at once.
        waiting: the number of requests that may wait for one of these.
    """

    def __init__(self, threads: "RequestThreads | Share", running: int, waiting: int) -> None:
        self._threads = threads
        self._turns = asyncio.Semaphore(running)
        self._free = running + waiting

    async def run(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call a function in a thread and return its result.

        Raises:
            TooManyRequestsError: too many requests of this kind, or of all, run or wait.
        """
        self.admit()
        return await self.run_admitted(lambda: function(*args, **kwargs))

    def admit(self) -> None:
        """Count a request that will run or wait, also for all threads.

        Raises:
            TooManyRequestsError: too many requests of this kind, or of all, run or wait.
        """
        if not self._free:
            raise TooManyRequestsError
        self._threads.admit()
        self._free -= 1

    def dismiss(self) -> None:
        """Forget a request that was admitted and will not run."""
        self._free += 1
        self._threads.dismiss()

    async def run_admitted(self, function: Callable[[], Result]) -> Result:
        """Call the function of a request that was admitted in a thread, and return its result."""
        try:
            await self._turns.acquire()
        except BaseException:
            self.dismiss()
            raise
        # A thread may be busy for longer than its client waits, so the task counts, and not this coroutine.
        running = asyncio.ensure_future(self._threads.run_admitted(function))
        running.add_done_callback(self._release)
        return await asyncio.shield(running)

    def _release(self, _running: "asyncio.Future[Result]") -> None:
        self._turns.release()
        self._free += 1
