"""Followers of changes: open event streams, and requests that wait for the next change.

One task of the event loop asks the database for new changes, once for all followers, and only while there are any.
Writes wake the task (`cachelayer.write_listeners`). If all wake-ups are lost, a change is found a second later. A
follower costs no thread and no database connection: followers with the same selection share what is read.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any, TypeVar

from cachelayer import write_listeners
from conversations.changes.following import Feed, Interest, Look, Subscription, TooManyFollowersError
from conversations.changes.log import Position, Selection
from logs.contexts import Context
from logs.line_limit import line_limit
from whatsai.server.event_stream import EventStream

POLL_SECONDS = 1.0  # between two looks at the log if nothing wakes the task
BUSY_SECONDS = 0.05  # between two looks for a second after a wake-up: another process sends it before it commits
PAUSE_SECONDS = 0.01  # between two looks at least, so that a burst of writes is one look
CHECK_SECONDS = 0.5  # between two checks of the followers' rights
HEARTBEAT_SECONDS = 25.0
SLOW_SECONDS = 30.0  # for a client to read what was written to its stream
MAX_OF_USER = 1_000  # followers of one user in one process
MAX_INTERESTS = 100  # of one user in one process, because each one is read and checked by itself, while others wait
BEHIND_OF_USER = 2  # groups of one user's followers that are read at each look, of those that are behind
MAX_PENDING_BYTES = 64 * 1024 * 1024  # that all clients together have not read; then the slowest are cut off
HEARTBEAT = b":\n\n"  # a comment, which tells a client and all between that the connection is open
THREADS = 2  # that read changes, each with a database connection of its own

T = TypeVar("T")
Group = tuple[Selection, Position]  # what followers that are read together have in common


class Follower:
    """Somebody who waits for changes.

    Attributes:
        subscription: what is followed, and for whom.
        position: the changes up to here were sent, or did not concern the follower.
        stream: the open stream; None for a request that waits.
        change: done when the wait of a request ends: True if there is a change, False if not.
    """

    __slots__ = ("change", "position", "sent_at", "stream", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.position = subscription.position
        self.stream: EventStream | None = None
        self.change: asyncio.Future[bool] | None = None
        self.sent_at = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the client has read everything so far."""
        return self.stream is None or self.stream.paused_at is None

    def end(self) -> None:
        """End the stream, or the wait."""
        if self.stream is not None:
            self.stream.close()
        elif self.change is not None and not self.change.done():
            self.change.set_result(False)


class Followers:
    """All followers of one process. Every method must run in the event loop, except `admit`.

    Args:
        feed: reads changes.
        limit: the number of followers that there may be.
    """

    def __init__(self, feed: Feed, limit: int) -> None:
        self._feed = feed
        self._limit = limit
        self._all: dict[Follower, None] = {}
        self._of_user: defaultdict[int, Counter[Interest]] = defaultdict(Counter)
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._busy_until = 0.0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="changes")
        self._is_stopped = False

    # --- followers ----------------------------------------------------------------------------------------------------
    def admit(self, subscription: Subscription) -> None:
        """Check that one more follower is allowed; any thread may call this method.

        Raises:
            TooManyFollowersError: this process has too many, or the user has.
        """
        if len(self._all) >= self._limit:
            raise TooManyFollowersError(is_of_user=False)
        interests = self._of_user.get(subscription.credentials.user_id, Counter())
        has_more = len(interests) >= MAX_INTERESTS and subscription.interest not in interests
        if has_more or interests.total() >= MAX_OF_USER:
            raise TooManyFollowersError(is_of_user=True)

    def open_stream(self, subscription: Subscription, transport: Any, head: bytes) -> None:
        """Continue a connection as an event stream, whose response begins with `head`."""
        follower = Follower(subscription)
        follower.stream = EventStream(transport, lambda: self._discard(follower))
        follower.stream.write(head)
        self._add(follower)

    async def wait(self, subscription: Subscription, seconds: float) -> bool:
        """Wait for a change that concerns the subscription; return False if none comes in time, or access ends."""
        follower = Follower(subscription)
        follower.change = asyncio.get_running_loop().create_future()
        self._add(follower)
        try:
            async with asyncio.timeout(seconds):
                return await follower.change
        except TimeoutError:
            return False
        finally:
            self._discard(follower)

    def stop(self) -> None:
        """End all streams and waits, and from now on each new one at once: clients then turn to another process.

        A refusal would be worse, because browsers do not open a refused stream again.
        """
        self._is_stopped = True
        for follower in list(self._all):
            follower.end()

    def _add(self, follower: Follower) -> None:
        if self._is_stopped:
            follower.end()
            return
        loop = asyncio.get_running_loop()
        follower.sent_at = loop.time()
        self._all[follower] = None
        self._of_user[follower.subscription.credentials.user_id][follower.subscription.interest] += 1
        if self._task is None:
            self._task = loop.create_task(self._run(loop))
        self._woken.set()  # it may be behind

    def _discard(self, follower: Follower) -> None:
        if follower in self._all:
            del self._all[follower]
            self._forget(follower.subscription)

    def _forget(self, subscription: Subscription) -> None:
        interests = self._of_user[subscription.credentials.user_id]
        interests[subscription.interest] -= 1
        if not interests[subscription.interest]:
            del interests[subscription.interest]
        if not interests:
            del self._of_user[subscription.credentials.user_id]

    # --- the task -----------------------------------------------------------------------------------------------------
    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for changes until there are no followers."""

        def wake() -> None:
            if not self._woken.is_set():
                loop.call_soon_threadsafe(self._on_write, loop)

        write_listeners.add(wake)
        try:
            look: Look | None = None
            checked_at = 0.0
            while self._all:
                self._woken.clear()
                try:
                    if loop.time() >= checked_at + CHECK_SECONDS:
                        checked_at = loop.time()
                        self._tend_streams(checked_at)
                        await self._end_without_access()
                    look = await self._deliver(look)
                except Exception as error:  # noqa: BLE001 - followers outlast an outage of the database
                    _log_failure(error)
                    look = None
                    await asyncio.sleep(POLL_SECONDS)
                await self._pause(loop)
        finally:
            write_listeners.remove(wake)
            self._task = None

    def _on_write(self, loop: asyncio.AbstractEventLoop) -> None:
        self._busy_until = loop.time() + 1.0
        self._woken.set()

    async def _pause(self, loop: asyncio.AbstractEventLoop) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        seconds = BUSY_SECONDS if loop.time() < self._busy_until else CHECK_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _deliver(self, previous: Look | None) -> Look:
        """Look for changes, and give each follower those that concern it."""
        look = await self._in_thread(self._feed.look, None if previous is None else previous.position)
        reached = None if previous is None else previous.position
        groups: dict[Group, list[Follower]] = defaultdict(list)
        for follower in list(self._all):
            selection = follower.subscription.selection
            if follower.subscription.history != look.history:
                follower.end()  # what it has was lost by a restore or a failover
                continue
            if follower.position == look.position:
                continue
            if follower.position == reached and not look.concerns(selection):
                follower.position = look.position
            elif follower.is_ready:
                groups[selection, follower.position].append(follower)
        chosen = _in_turn(groups, reached)
        await asyncio.gather(*(self._deliver_to(groups[group], *group, look) for group in chosen))
        if len(chosen) < len(groups):
            self._woken.set()  # the others follow at once
        return look

    async def _deliver_to(self, group: list[Follower], selection: Selection, after: Position, until: Look) -> None:
        batch = await self._in_thread(self._feed.read, selection, after, until)
        if batch is None:
            for follower in group:
                follower.end()
            return
        now = asyncio.get_running_loop().time()
        if batch.position != until.position:
            self._woken.set()  # the next batch follows at once
        for follower in group:
            follower.position = batch.position
            if not batch.event:
                continue
            follower.sent_at = now
            if follower.stream is not None:
                follower.stream.write(batch.event)
            elif follower.change is not None and not follower.change.done():
                follower.change.set_result(True)

    async def _end_without_access(self) -> None:
        """End the followers whose token, user or memberships no longer permit what they follow."""
        credentials = {follower.subscription.credentials for follower in self._all}
        ended = await self._in_thread(self._feed.find_ended, credentials)
        for follower in [follower for follower in self._all if follower.subscription.credentials in ended]:
            follower.end()

    def _tend_streams(self, now: float) -> None:
        """Send heartbeats, and cut off clients that read too slowly."""
        pending = 0
        paused = []
        for follower in self._all:
            if follower.stream is None:
                continue
            if follower.stream.paused_at is not None:
                pending += follower.stream.pending_bytes
                paused.append(follower.stream)
            elif now >= follower.sent_at + HEARTBEAT_SECONDS:
                follower.sent_at = now
                follower.stream.write(HEARTBEAT)
        for stream in sorted(paused, key=lambda stream: stream.paused_at or now):
            if now < (stream.paused_at or now) + SLOW_SECONDS and pending <= MAX_PENDING_BYTES:
                return
            pending -= stream.pending_bytes
            stream.cut_off()

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _in_turn(groups: Mapping[Group, Sequence[Follower]], reached: Position | None) -> list[Group]:
    """Return the groups to read now: those that had everything so far, and for each user some of those behind.

    The ones furthest behind come first. A user can open a thousand streams, each from another old cursor, and reading
    all of them at once would make everybody wait.
    """
    chosen = {group: None for group in groups if group[1] == reached}
    turns = Counter[int]()
    for group in sorted(groups.keys() - chosen.keys(), key=itemgetter(1)):
        users = {follower.subscription.credentials.user_id for follower in groups[group]}
        if any(turns[user] < BEHIND_OF_USER for user in users):
            chosen[group] = None
            turns.update(users)
    return list(chosen)


def _log_failure(error: Exception) -> None:
    left_out = line_limit.admit("changes")
    if left_out is not None:
        Context.GENERAL.logger.warning("Changes NOT READ: %s; followers wait", error, extra=left_out)
