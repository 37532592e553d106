"""The worker: applies due events, instance by instance, until `stop` is called. Many workers may run, on many hosts.

In each round, a worker finds the instances with due events and applies one batch of each instance whose lease it
acquires. A worker stops between two batches; a batch that is interrupted is rolled back. Neither an event nor a
defect in the code ends the loop of a worker.
"""

from collections.abc import Callable
from time import monotonic, sleep

from django.db import Error as DatabaseError
from django.db import connection

from cachelayer.ops import histogram_totals
from conversations.ingest import sqlite_lock
from conversations.ingest.conf import Options
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.inbox.web_background import FLUSH_SECONDS, PeriodicTask, run_safely
from conversations.ingest.notify import POLL_SECONDS, WorkerWaiter
from conversations.ingest.worker import schedule
from conversations.ingest.worker.batch import apply_due
from conversations.ingest.worker.pace import Pace
from conversations.ingest.worker.retention import Retention
from conversations.models import Instance, WebhookEvent
from logs import spans
from logs.contexts import Context

BUSY_RETRY = 0.05  # seconds to wait when other workers hold the leases of all ready instances
ROUND_PAUSE = 0.05  # seconds to wait after a round that applied events, so that the next round finds several events
FAILED_INSTANCE_DELAY = 5.0  # seconds to wait before the next batch of an instance whose last batch failed as a whole
DATABASE_RETRY = 1.0  # seconds to wait after a database error
log = Context.WEBHOOK.logger


class Worker:
    """One worker: `run` returns after another thread or a POSIX signal handler calls `stop`."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options.read()
        self._is_stopped = False  # a bool without a lock, so that a POSIX signal handler can set it
        self._waiter = WorkerWaiter()
        self._retention = Retention(self._options)
        self._flush = PeriodicTask(histogram_totals.flush, FLUSH_SECONDS)
        self._pace = Pace()
        self._delayed_until: dict[int, float] = {}  # instance → `monotonic()` time of the next try after a failed batch

    def run(self) -> None:
        """Apply due events until `stop` is called."""
        log.info("Ingest STARTED")
        while not self._is_stopped:
            self._waiter.wait(self._run_round_safely())
            self._flush.run_if_due()
        self._waiter.close()
        run_safely(histogram_totals.flush)
        connection.close()
        log.info("Ingest STOPPED")

    def stop(self) -> None:
        """Make `run` return after the current batch."""
        self._is_stopped = True

    def round(self, *, ignore_schedule: bool = False) -> tuple[int, float]:
        """Apply one batch of each instance with due events; the instance that waits longest comes first.

        Args:
            ignore_schedule: ignore batch intervals and debounce windows (see `batch.apply_due`).

        Returns:
            The number of applied events, and for how many seconds the worker may wait before the next round.

        Raises:
            DatabaseError, InterfaceError: the database is unavailable.
        """
        due = schedule.find_due(self._options, ignore_schedule=ignore_schedule)
        ready = [instance for instance in due.ready if self._delayed_until.get(instance, 0.0) <= monotonic()]
        applied = 0
        for instance in ready:
            if not self._is_stopped:
                applied += self._apply(instance, len(ready), ignore_schedule=ignore_schedule)
        return applied, 0.0 if applied else min(BUSY_RETRY if ready else POLL_SECONDS, due.next_due_in)

    def drain(self, on_applied: Callable[[int], object] = bool) -> int:
        """Apply all stored events, ignoring batch intervals and debounce windows; return the number of events.

        Args:
            on_applied: called after each round with the number of events that the round has applied.
        """
        total = 0
        while True:
            applied, seconds = self.round(ignore_schedule=True)
            total += applied
            on_applied(applied)
            if not applied:
                if not WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED, attempts=0).exists():
                    return total
                sleep(min(seconds, BUSY_RETRY))

    def _run_round_safely(self) -> float:
        """Run a round and a retention step, and log their errors; return the seconds to wait before the next round."""
        try:
            applied, seconds = self.round()
            self._retention.step()
            sleep(sqlite_lock.min_pause(ROUND_PAUSE) if applied else 0)
        except DatabaseError as error:
            log.warning(
                "Ingest WAITS: the database is unavailable: %s", type(error).__name__, extra=traceback_extra(error)
            )
            connection.close()
        except Exception as error:  # noqa: BLE001 - a defect must not stop the worker
            log.critical("Ingest FATAL: %s", type(error).__name__, extra=traceback_extra(error))
        else:
            return seconds
        return DATABASE_RETRY

    def _apply(self, instance: int, ready: int, *, ignore_schedule: bool) -> int:
        """Apply one batch of an instance, of the number that are ready.

        If the batch fails as a whole, delay only the next batch of the instance.
        """
        try:
            with spans.root("batch") as span, self._pace.batch(instance, ready) as share:
                applied = apply_due(instance, self._options, ignore_schedule=ignore_schedule, share=share)
                span.describe("batch", {"whatsai.instance_id": instance, "whatsai.events": applied})
            return applied  # noqa: TRY300 - beside the handlers of its errors
        except Instance.DoesNotExist:
            return 0
        except Exception as error:
            if ignore_schedule or is_transient_db_error(error):
                raise
            extra = {"instance_id": instance, **traceback_extra(error)}
            log.error("Batch NOT APPLIED: %s", type(error).__name__, extra=extra)  # noqa: TRY400 - error texts may quote rows
            self._delayed_until[instance] = monotonic() + FAILED_INSTANCE_DELAY
            return 0
