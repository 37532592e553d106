"""The models of ingestion: webhook events, a lease per instance, counters and pending updates."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.utils import timezone

from conversations.models.instance import Instance


class WebhookEvent(models.Model):
    """One webhook body as received, without its secrets. A body that is received twice is stored once.

    A body with many records, such as a history import, is split into parts, and each part is stored as one row. Of
    repeated states that say the same, only the row of the last one stays after they were applied (see
    `ingest.worker.collapse`).
    """

    class Outcome(models.TextChoices):
        """The result of applying a webhook event."""

        STORED = "stored", "stored, not yet applied"
        APPLIED = "applied"
        IGNORED = "ignored", "understood, nothing to store"
        UNKNOWN = "unknown", "not understood"
        FOREIGN = "foreign", "names another instance"
        FAILED = "failed", "could not be applied"

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="events", db_index=False)
    name = models.CharField(max_length=64)
    payload = models.JSONField()
    digest = models.CharField(max_length=64, editable=False)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.STORED)
    reason = models.CharField(max_length=255, blank=True, default="")
    received_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now, help_text="when to apply it, or to retry it")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="when its outcome was set")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="number of failed attempts to apply it")
    is_history = models.BooleanField(
        default=False, help_text="part of a history import, applied in small portions beside new events"
    )
    part = models.PositiveIntegerField(default=1, help_text="number of this part of a long import")
    parts = models.PositiveIntegerField(default=1, help_text="number of parts of the import")
    size = models.PositiveIntegerField(default=0, help_text="length of the body in bytes")
    request_id = models.CharField(max_length=64, blank=True, default="", help_text="the request's id in the logs")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "digest"], name="event_digest")]
        indexes = [
            models.Index(fields=["outcome", "id"], name="event_outcome"),
            models.Index(fields=["instance", "due_at"], condition=Q(outcome="stored"), name="event_waiting"),
            # `outcome` is a column because SQLite counts in an index only if the index has all columns of the query.
            models.Index(
                fields=["outcome", "is_history", "instance"], condition=Q(outcome="stored"), name="event_queue"
            ),
            # Sizes are added up in an index: a database would otherwise read each row, on SQLite with its payload.
            *(
                models.Index(
                    fields=["outcome", "instance", "id", "size"],
                    condition=Q(outcome=outcome),
                    name=f"event_{outcome}_size",
                )
                for outcome in ("unknown", "foreign", "failed")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk} ({self.get_outcome_display()})"


class IngestLease(models.Model):
    """The lease of an instance: a worker locks the lease's row while it applies the instance's events.

    `next_at` is the earliest time at which the next batch of the instance may start.
    """

    instance = models.OneToOneField(Instance, models.CASCADE, related_name="+", primary_key=True)
    next_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"lease of instance {self.instance_id}"


@receiver(pre_delete, sender=Instance)
def lock_before_deletion(instance: Instance, using: str, **_signal: Any) -> None:
    """Lock an instance that is about to be deleted, before any of its rows, in the same order as a batch does.

    Otherwise the deletion would lock messages and then wait for the lease, while a batch that has the lease waits for
    the messages. Django sends the signal inside the transaction of the deletion.
    """
    for model in (IngestLease, Instance):
        list(model._base_manager.using(using).select_for_update().filter(pk=instance.pk).values_list("pk"))  # noqa: SLF001 - sees every row, and reads no cache


class IngestCounter(models.Model):
    """A counter of an instance's events, such as `received` or `failed`, summed over all processes."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="ingest_counts", db_index=False)
    name = models.CharField(max_length=32)
    value = models.BigIntegerField()
    counted_at = models.DateTimeField(null=True, default=timezone.now)  # time of the latest increment, if known

    class Meta:
        verbose_name = verbose_name_plural = "ingestion"
        constraints = [models.UniqueConstraint(fields=["instance", "name"], name="ingest_count")]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class PendingUpdate(models.Model):
    """An update of a chat message that may not have arrived yet, because events may arrive in any order.

    `chat` is the address key of the message's chat, or "" if the update contains no reliable address. Two updates that
    agree in all fields of the constraint `pending_update` are merged into one row.

    A row of kind ALBUM states that a message belongs to an album: `key_id` is the album's id, under which no message is
    stored, and `subject` is the message's key id. Reactions to the album are merged into its messages. `rank_or_ms` is
    the negative time of the message, because the greater rank wins, and the earliest messages are the album's.

    A row of kind CALL names a stage of the call, or, with the `subject` "video", says that it is a video call.
    """

    class Kind(models.TextChoices):
        """The kind of change that an update makes to a chat message."""

        STATUS = "status"
        EDIT = "edit"
        DETAILS = "details"
        DELETE = "delete"
        REACTION = "reaction"
        POLL = "poll"
        ALBUM = "album"
        CALL = "call", "stage of a call"

    class FromMe(models.IntegerChoices):
        """Whether the updated message is outbound; UNKNOWN if the update does not contain the direction."""

        UNKNOWN = -1
        NO = 0
        YES = 1

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    key_id = models.CharField(max_length=255)
    chat = models.CharField(max_length=128, blank=True, default="")
    from_me = models.SmallIntegerField(choices=FromMe)
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(
        max_length=128, blank=True, default="", help_text="address key of the author, or `me`; for an album, a key id"
    )
    rank_or_ms = models.BigIntegerField(help_text="milliseconds since the epoch, or the rank of a status")
    value = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "key_id", "chat", "from_me", "kind", "subject"], name="pending_update"
            )
        ]
        indexes = [
            models.Index(fields=["instance", "chat"], name="pending_chat"),
            models.Index(fields=["instance", "subject"], name="pending_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
