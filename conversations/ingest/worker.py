"""The worker: applies due events, instance by instance, until it is told to stop. Many may run, on many hosts.

In each round it asks which instances have something due, and takes those whose turn it can get. It stops between two
batches; a batch that is cut short was never done.
"""

import threading
from time import monotonic, sleep

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Min
from django.utils import timezone

from conversations.ingest import counts, retention
from conversations.ingest.batch import apply_due
from conversations.ingest.conf import Options
from conversations.ingest.wake import POLL, Waiter
from conversations.models import WebhookEvent
from logs.contexts import Context

REPORT_EVERY = 2.0  # seconds
RETRY_AFTER = 1.0  # when the database does not answer
log = Context.WEBHOOK.logger


class Worker:
    """One worker. `run` returns once `stop` was called, from another thread or a signal's handler."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options.read()
        self._stopped = threading.Event()
        self._waiter = Waiter()
        self._reported = 0.0

    def run(self) -> None:
        """Work until told to stop."""
        log.info("Ingest STARTED")
        while not self._stopped.is_set():
            try:
                applied = self.round()
                self._housekeep()
            except DatabaseError as error:
                log.warning("Ingest WAITS: the database does not answer: %s", type(error).__name__)
                connection.close()
                self._stopped.wait(RETRY_AFTER)
                continue
            if not self._stopped.is_set():
                self._rest(applied)
        self._end()
        log.info("Ingest STOPPED")

    def stop(self) -> None:
        """Have it stop after the batch in hand."""
        self._stopped.set()
        self._waiter.interrupt()

    def round(self) -> int:
        """Give each instance that has something due one batch, the longest waiting first; return how many events.

        Raises:
            DatabaseError: the database does not answer.
        """
        applied = 0
        for instance in waiting(timezone.now()):
            if self._stopped.is_set():
                break
            applied += apply_due(instance, self._options)
        return applied

    def drain(self) -> int:
        """Apply everything that is due now or at the end of its window; return how many events that were."""
        applied = 0
        while True:
            new = self.round()
            applied += new
            if not new and not WebhookEvent.objects.filter(outcome="stored", attempts=0).exists():
                counts.flush()
                return applied
            sleep(0 if new else self._options.interval / 2)

    def _rest(self, applied: int) -> None:
        """Wait for the next round: for a moment, so that batches are worth their while, or until there is a word."""
        if applied:
            self._stopped.wait(self._options.interval / 4)
        else:
            self._waiter.wait(min(POLL, self._options.window))

    def _housekeep(self) -> None:
        if monotonic() - self._reported >= REPORT_EVERY:
            self._reported = monotonic()
            counts.flush()
            retention.step(self._options)

    def _end(self) -> None:
        try:
            counts.flush()
        except DatabaseError:
            log.warning("Ingest counts are lost: the database does not answer")
        self._waiter.close()
        connection.close()


def waiting(now: object) -> list[int]:
    """Return the instances that have something due, the one that has waited longest first."""
    due = WebhookEvent.objects.filter(outcome="stored", due_at__lte=now)
    return list(
        due.values("instance").annotate(since=Min("due_at")).order_by("since").values_list("instance", flat=True)
    )
