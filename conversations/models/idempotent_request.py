"""Requests that create something, by their `Idempotency-Key`, with the answers that repetitions get."""

import datetime as dt

from django.db import models
from django.utils import timezone

KEPT = dt.timedelta(hours=24)  # how long an answer is stored
ABANDONED_AFTER = dt.timedelta(minutes=2)  # a request without an answer has failed by then; no request takes longer
PURGED_ROWS = 100  # at most, for each new row
MAX_KEPT = 10_000  # rows of one asker; of more, the oldest are forgotten
DIGEST_CHARS = 32
ASKER_CHARS = 12  # the first characters of a digest; they stand for the asker


class IdempotentRequestManager(models.Manager["IdempotentRequest"]):
    """Lets only one of several equal requests run, also if they come at the same time."""

    def begin(self, digest: str, fingerprint: str, access: str) -> tuple["IdempotentRequest", bool]:
        """Return the row of a request, and whether the caller must run the request.

        The caller must call `finish` in the transaction of the request, or `forget`.
        """
        now = timezone.now()
        fields = {"fingerprint": fingerprint, "access": access, "started_at": now}
        row, is_new = self.get_or_create(digest=digest, defaults=fields)
        if is_new:
            self._purge(digest[:ASKER_CHARS], now)
            return row, True
        is_given_up = not row.status and row.fingerprint == fingerprint and now - row.started_at > ABANDONED_AFTER
        if not is_given_up and now - row.started_at <= KEPT:
            return row, False
        is_taken = self._same(row).update(**fields, status=0, content="") == 1
        row.refresh_from_db()
        return row, is_taken

    def finish(self, row: "IdempotentRequest", status: int, content: str) -> bool:
        """Store the answer to a request; return False if another request has taken over meanwhile."""
        return self._same(row).update(status=status, content=content) == 1

    def forget(self, row: "IdempotentRequest") -> None:
        """Delete the row of a request that has changed nothing, so that the request can be sent again."""
        self._same(row).delete()

    def _purge(self, asker: str, now: dt.datetime) -> None:
        """Delete some of the rows that are too old, or too many of one asker."""
        old = self.filter(started_at__lt=now - KEPT).order_by()
        own = self.filter(digest__gte=asker, digest__lt=f"{asker}g").order_by("-pk")  # "g" follows the digits of a hash
        pks = [*old.values_list("pk", flat=True)[:PURGED_ROWS]]
        pks += own.values_list("pk", flat=True)[MAX_KEPT : MAX_KEPT + PURGED_ROWS]
        if pks:
            self.filter(pk__in=pks).delete()

    def _same(self, row: "IdempotentRequest") -> models.QuerySet["IdempotentRequest"]:
        return self.filter(pk=row.pk, started_at=row.started_at, status=row.status)


class IdempotentRequest(models.Model):
    """One request that creates something.

    `digest` is a hash of the asker, followed by one of the asker and the key. `fingerprint` is a hash of the
    request's method, path, query and body, and `access` one of the asker's rights. `status` is that of the answer, or 0
    while the request runs. `content` is the answer as JSON; it is empty for an answer with a secret.
    """

    digest = models.CharField(max_length=DIGEST_CHARS, unique=True)
    fingerprint = models.CharField(max_length=32)
    access = models.CharField(max_length=32)
    started_at = models.DateTimeField(db_index=True)
    status = models.PositiveSmallIntegerField(default=0)
    content = models.TextField(blank=True, default="")

    objects: IdempotentRequestManager = IdempotentRequestManager()

    def __str__(self) -> str:
        return f"request of {self.started_at}: {self.status or 'running'}"
