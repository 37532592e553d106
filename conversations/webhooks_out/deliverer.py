"""Delivers webhooks: one thread with an event loop for each worker process, whatever the number of receivers.

A slow receiver holds a connection and nothing else: database work runs in two threads, and each receiver is waited for
by itself. The log of changes is looked at once for all subscriptions, and only while some are on: after a write, and
once a second, because wake-ups can be lost.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.utils import timezone

from cachelayer import write_listeners
from conversations.changes import log as change_log
from conversations.db.due_times import is_due
from conversations.models import WebhookSubscription
from conversations.webhooks_out import signature
from conversations.webhooks_out.claims import Claims
from conversations.webhooks_out.delivering import Delivery, Pages, next_delivery, record, save_passed
from conversations.webhooks_out.passed import Passed
from conversations.webhooks_out.post import post
from conversations.webhooks_out.retries import SKEW_LIMIT
from logs.contexts import Context
from logs.line_limit import line_limit

if TYPE_CHECKING:
    from datetime import datetime

    from conversations.changes.log import Position

LOOK_SECONDS = 1.0  # between two looks at the log if nothing wakes the thread
BUSY_SECONDS = (
    0.1  # between two looks for a second after a write, because another process tells of it before it commits
)
RENEW_SECONDS = 2.0  # between two looks at the subscriptions, which people turn on and off
THREADS = 2  # for database work

T = TypeVar("T")


class Deliverer:
    """Delivers for the subscriptions that this process has claimed. `run` returns after `stop`, from any thread.

    Args:
        pages: reads changes.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._claims = Claims()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._is_stopped = False
        self._busy_until = self._renewed_at = 0.0
        self._claimed: list[WebhookSubscription] = []
        self._due: dict[int, datetime] = {}  # subscription → when its next attempt may start
        self._head: Position | None = None  # the end of the log at the last look
        self._news = 0  # how many looks have found changes
        # Subscription → its settings' time, and the value of `_news` when its receiver had got everything.
        self._reached: dict[int, tuple[datetime, int]] = {}
        self._passed = Passed()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def run(self) -> None:
        """Deliver until `stop` is called."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """Make `run` return. Deliveries that are under way are given up, and repeated by another process."""
        self._is_stopped = True
        self._wake()

    # --- wake-ups -----------------------------------------------------------------------------------------------------
    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed() and not self._woken.is_set():
            self._loop.call_soon_threadsafe(self._on_write)

    def _on_write(self) -> None:
        self._busy_until = monotonic() + 1.0
        self._woken.set()

    async def _pause(self) -> None:
        seconds = BUSY_SECONDS if monotonic() < self._busy_until else LOOK_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    # --- the loop -----------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        write_listeners.add(self._wake)
        try:
            while not self._is_stopped:
                self._woken.clear()
                await _safely(self._step())
                await self._pause()
        finally:
            write_listeners.remove(self._wake)
            await self._end()

    async def _step(self) -> None:
        """Look at the subscriptions if it is time, and start deliveries for those that may have something to get."""
        if monotonic() >= self._renewed_at + RENEW_SECONDS:
            self._renewed_at = monotonic()
            self._claimed = await self._in_thread(self._claims.renew)
            self._due = {row.pk: row.due_at for row in self._claimed}
        if not self._claimed:
            return
        await self._in_thread(self._look)
        now = timezone.now()
        for row in self._claimed:
            has_news = self._reached.get(row.pk) != (row.updated_at, self._news)
            may_start = has_news and is_due(self._due[row.pk], now, SKEW_LIMIT)
            if row.pk not in self._tasks and (row.test_requested or may_start):
                self._tasks[row.pk] = asyncio.ensure_future(self._deliver_safely(row))

    def _look(self) -> None:
        """Look whether there are new changes. The end of the log also moves without any, as transactions end."""
        head = change_log.head()
        if self._head is None or (head != self._head and change_log.kinds_of_changes(self._head, head, 1) != []):
            self._news += 1
        self._head = head

    async def _deliver_safely(self, row: WebhookSubscription) -> None:
        try:
            await _safely(self._deliver(row))
        finally:
            del self._tasks[row.pk]

    async def _deliver(self, row: WebhookSubscription) -> None:
        """Deliver until the receiver has everything, an attempt fails, or the subscription is no longer ours."""
        while not self._is_stopped:
            news = self._news
            current = await self._in_thread(self._claims.own, row.pk)
            if current is None:
                return
            if not is_due(current.due_at, timezone.now(), SKEW_LIMIT) and not current.test_requested:
                self._due[row.pk] = current.due_at
                return
            following = await self._in_thread(next_delivery, current, self._pages, self._passed.after(current))
            if isinstance(following, Delivery):
                await self._attempt(following)
                continue
            if self._passed.must_be_saved(current, following.cursor):
                await self._in_thread(save_passed, current, following.cursor)
            if not following.has_more:
                self._reached[row.pk] = (current.updated_at, news)
                return

    async def _attempt(self, delivery: Delivery) -> None:
        row, started_at = delivery.subscription, timezone.now()
        headers = signature.headers(row.secret, delivery.identity, started_at, delivery.body)
        outcome = await post(row.url, headers, delivery.body)
        await self._in_thread(record, delivery, outcome, started_at)

    async def _end(self) -> None:
        """Give up what is under way, and leave the subscriptions to others."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        together = threading.Barrier(THREADS)  # so that each thread closes its connection
        # The interpreter may be ending and have ended the threads, or the database be away. Then the claims run out.
        with suppress(RuntimeError, DatabaseError, InterfaceError):
            await self._in_thread(self._claims.release)
            await asyncio.gather(*(self._in_thread(_close_connections, together) for _ in range(THREADS)))
        self._threads.shutdown()

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _with_connection, function, *args)


def _with_connection(function: Callable[..., T], *args: object) -> T:
    """Call a function in a thread that lives on, whose connection may have ended since the last call."""
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def _close_connections(together: threading.Barrier) -> None:
    connections.close_all()
    together.wait()


async def _safely(work: Awaitable[object]) -> None:
    """Wait for work, and log its error: the thread outlasts an outage of the database, and one bad subscription."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - as above
        left_out = line_limit.admit("webhooks")
        if left_out is not None:
            Context.WEBHOOK.logger.warning("Webhooks NOT DELIVERED: %s", type(error).__name__, extra=left_out)
