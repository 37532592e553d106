"""The worker: applies due events, instance by instance, until it is told to stop. Many may run, on many hosts.

In each round it asks which instances have something due, and takes those whose turn it can get. It stops between two
batches; a batch that is cut short was never done. Nothing that an event holds, and no fault of ours, ends it.
"""

from time import monotonic, sleep

from django.db import Error as DatabaseError
from django.db import connection

from cachelayer.write import transactions
from conversations.ingest.conf import Options
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.notify import POLL_SECONDS, WorkerWaiter
from conversations.ingest.worker import schedule
from conversations.ingest.worker.batch import apply_due
from conversations.ingest.worker.retention import Retention
from conversations.models import Instance, WebhookEvent
from logs.contexts import Context

BUSY_RETRY = 0.05  # seconds; when another worker has what is due
ROUND_PAUSE = 0.05  # after a round in which something was applied: to look costs as much for one event as for a hundred
FAILED_INSTANCE_DELAY = 5.0  # an instance whose batch cannot be applied at all
DATABASE_RETRY = 1.0  # when the database does not answer
log = Context.WEBHOOK.logger


class Worker:
    """One worker. `run` returns once `stop` was called, from another thread or a signal's handler."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options.read()
        self._is_stopped = False  # no lock: a signal's handler must be able to set it
        self._waiter = WorkerWaiter()
        self._retention = Retention(self._options)
        self._put_off: dict[int, float] = {}  # until when, by instance

    def run(self) -> None:
        """Work until told to stop."""
        log.info("Ingest STARTED")
        while not self._is_stopped:
            self._waiter.wait(self._safe_round())
        self._waiter.close()
        connection.close()
        log.info("Ingest STOPPED")

    def stop(self) -> None:
        """Have it stop after the batch in hand."""
        self._is_stopped = True

    def round(self, *, ignore_schedule: bool = False) -> tuple[int, float]:
        """Give each instance that has something due one batch, the longest waiting first.

        Args:
            hurry: see `batch.apply_due`.

        Returns:
            How many events were applied, and for how many seconds there is nothing to do.

        Raises:
            DatabaseError, InterfaceError: the database does not answer.
        """
        found = schedule.find_due(ignore_schedule=ignore_schedule)
        ripe = [instance for instance in found.ready if self._put_off.get(instance, 0.0) <= monotonic()]
        applied = 0
        for instance in ripe:
            if not self._is_stopped:
                applied += self._apply(instance, ignore_schedule=ignore_schedule)
        return applied, 0.0 if applied else min(BUSY_RETRY if ripe else POLL_SECONDS, found.next_due_in)

    def drain(self) -> int:
        """Apply everything that waits, without waiting for turns and windows; return how many events that were."""
        total = 0
        while True:
            applied, seconds = self.round(ignore_schedule=True)
            total += applied
            if not applied:
                if not WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED, attempts=0).exists():
                    return total
                sleep(min(seconds, BUSY_RETRY))

    def _safe_round(self) -> float:
        """Do a round, whatever comes; return how long to wait."""
        try:
            applied, seconds = self.round()
            self._retention.step()
            sleep(ROUND_PAUSE if applied else 0)
        except DatabaseError as error:
            log.warning(
                "Ingest WAITS: the database does not answer: %s", type(error).__name__, extra=traceback_extra(error)
            )
            connection.close()
        except Exception as error:  # noqa: BLE001 - ours, and no reason to stop for good
            log.critical("Ingest FATAL: %s", type(error).__name__, extra=traceback_extra(error))
        else:
            return seconds
        transactions.release_finished()
        return DATABASE_RETRY

    def _apply(self, instance: int, *, ignore_schedule: bool) -> int:
        """Apply one batch. If that fails as a whole, the instance is put off, and the others are not."""
        try:
            return apply_due(instance, self._options, ignore_schedule=ignore_schedule)
        except Instance.DoesNotExist:
            return 0
        except Exception as error:
            if ignore_schedule or is_transient_db_error(error):
                raise
            told = {"instance_id": instance, **traceback_extra(error)}
            log.error("Batch NOT APPLIED: %s", type(error).__name__, extra=told)  # noqa: TRY400 - it may quote rows
            self._put_off[instance] = monotonic() + FAILED_INSTANCE_DELAY
            transactions.release_finished()
            return 0
