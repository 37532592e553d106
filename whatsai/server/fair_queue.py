"""Lets requests that wait for one thread take turns by sender, so that the flood of one delays only itself."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from whatsai.server.threads import Share, TooManyRequestsError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sender:
    """A browser or a network whose requests take turns.

    Attributes:
        name: what its requests have in common.
        is_known: whether it has every other turn before unknown senders.
    """

    name: str
    is_known: bool


class FairQueue:
    """The requests that wait until one at a time may run: one of each sender in turn. Only the event loop may use it.

    Known senders and unknown ones have turns alternately, known ones first. If too many wait, the latest request of the
    sender with the most is refused. The only request of a known sender is refused last.

    Args:
        threads: the threads that run the requests.
        waiting: the number of requests that may wait.
    """

    def __init__(self, threads: Share, waiting: int) -> None:
        self._threads, self._limit = threads, waiting
        self._is_running = self._was_known = False
        self._waiting: dict[Sender, deque[asyncio.Future[None]]] = {}  # in the order of turns

    async def run(
        self, sender: Sender, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Call a function in a thread when the sender has its turn, and return its result.

        Raises:
            TooManyRequestsError: too many requests wait, of this queue or of all.
        """
        self._threads.admit()
        try:
            await self._turn(sender)
        except BaseException:
            self._threads.dismiss()
            raise
        # A thread may be busy for longer than its client waits, so the task counts, and not this coroutine.
        running = asyncio.ensure_future(self._threads.run_admitted(lambda: function(*args, **kwargs)))
        running.add_done_callback(lambda _running: self._start_next())
        return await asyncio.shield(running)

    async def _turn(self, sender: Sender) -> None:
        """Wait until it is the sender's turn."""
        if not self._is_running:
            self._is_running = True
            return
        if sum(map(len, self._waiting.values())) >= self._limit:
            self._refuse_one(sender)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:  # the client has gone
            self._remove(sender, turn)
            if not turn.cancelled() and turn.exception() is None:
                self._start_next()
            raise

    def _refuse_one(self, sender: Sender) -> None:
        """Refuse the latest request of the sender with the most, if that is not the sender of a new request."""

        def rank(other: Sender, new: int = 0) -> tuple[bool, int]:
            count = len(self._waiting.get(other, ())) + new
            return not other.is_known or count > 1, count

        most = max(reversed(self._waiting), key=rank)
        if rank(most) <= rank(sender, new=1):
            raise TooManyRequestsError
        turn = self._waiting[most][-1]
        self._remove(most, turn)
        if not turn.done():
            turn.set_exception(TooManyRequestsError())

    def _start_next(self) -> None:
        """Give the turn to the next sender of those whose turn it is; one with more requests lines up again."""
        while self._waiting:
            due = (sender for sender in self._waiting if sender.is_known is not self._was_known)
            sender = next(due, next(iter(self._waiting)))
            self._was_known = sender.is_known
            turns = self._waiting.pop(sender)
            turn = turns.popleft()
            if turns:
                self._waiting[sender] = turns
            if not turn.done():  # else its client has just gone
                turn.set_result(None)
                return
        self._is_running = False

    def _remove(self, sender: Sender, turn: "asyncio.Future[None]") -> None:
        """Remove a request that waits no longer, unless it is removed already."""
        turns = self._waiting.get(sender, deque())
        if turn in turns:
            turns.remove(turn)
        if not turns:
            self._waiting.pop(sender, None)
