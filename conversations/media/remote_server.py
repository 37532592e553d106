"""Limits how requests of this site wait for another server that hangs, so that threads stay free for all others.

A few requests may wait at once. Once the server has not answered, all fail at once for a while; then one asks again,
and the others follow when it is answered.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

MAX_WAITING = 4  # requests that wait for the server at once: half of the usual number of threads
MAX_OWNED = MAX_WAITING - 1  # of them for one owner, because an owner's files may all be large
# Others that wait for one of these places once the server hesitates, each for another owner of files: one sender must
# not hold all threads. A refused webhook is sent again.
MAX_QUEUED = 2
HESITATION_SECONDS = 0.2  # as long as no request has waited for longer, any number may wait for a place
PLACE_SECONDS = 1.0  # then MAX_QUEUED may, until a request has waited for this long; then the server is slow
AWAY_SECONDS = 5.0  # for which a server that has not answered is not asked again

AWAY = "the media server cannot be reached: it did not answer a moment ago"
BUSY = "the media server is too slow: too many requests wait for it"


class RemoteServer:
    """Counts the requests of this process to the other server, and remembers whether the server answers.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Condition()
        self._queue: set[str] = set()  # the owners of the files for which few requests wait for a place
        self._waiting: list[tuple[float, str]] = []  # when each of the requests has begun, and for whose file
        self._asked_again_at: float | None = None  # None while the server answers

    @contextmanager
    def asking(self, owner: str = "") -> Iterator[None]:
        """Ask the server in the block, which raises `ConnectionError` if it does not answer.

        Args:
            owner: whose file it is about.

        Raises:
            OSError: the server did not answer a moment ago, or too many others wait for it.
        """
        self._check()
        request = self._take_place(owner)
        if request is None:
            raise OSError(BUSY)
        asked_again_at: float | None = None  # any other error is an answer of the server
        try:
            yield
        except ConnectionError:
            asked_again_at = self._clock() + AWAY_SECONDS
            raise
        finally:
            with self._lock:
                self._asked_again_at = asked_again_at
                self._waiting.remove(request)
                self._lock.notify_all()

    @property
    def queued(self) -> int:
        """How many requests wait for a place even if the server hesitates."""
        return len(self._queue)

    def _take_place(self, owner: str) -> tuple[float, str] | None:
        """Take a place, and wait for it only while the others have not waited for long; None if there was none."""
        with self._lock:
            if not self._queue and self._is_free(owner):  # no request overtakes those that wait
                return self._begin(owner)
            if owner in self._queue or len(self._queue) >= MAX_QUEUED:
                return self._wait(owner, HESITATION_SECONDS)
            self._queue.add(owner)
            try:
                return self._wait(owner, PLACE_SECONDS)
            finally:
                self._queue.discard(owner)

    def _wait(self, owner: str, seconds: float) -> tuple[float, str] | None:
        """Wait for a place until the oldest request has waited for so many seconds, and take it."""
        while (left := seconds - self._oldest_age()) > 0:
            if self._lock.wait_for(lambda: self._is_free(owner), timeout=left):
                return self._begin(owner)
        return None

    def _is_free(self, owner: str) -> bool:
        owned = sum(other == owner for _, other in self._waiting)
        return len(self._waiting) < MAX_WAITING and owned < MAX_OWNED

    def _begin(self, owner: str) -> tuple[float, str]:
        request = self._clock(), owner
        self._waiting.append(request)
        return request

    def _oldest_age(self) -> float:
        now = self._clock()
        return now - min((since for since, _ in self._waiting), default=now)

    def _check(self) -> None:
        with self._lock:
            if self._asked_again_at is None:
                return
            if self._clock() < self._asked_again_at:
                raise ConnectionError(AWAY)
            self._asked_again_at = self._clock() + AWAY_SECONDS  # this request asks; others wait for its answer
