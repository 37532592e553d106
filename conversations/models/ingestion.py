"""What ingestion keeps beside the domain's rows, so that any order of events ends in the same rows."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from conversations.models.instance import Instance


class WebhookEvent(models.Model):
    """One webhook body as it came, without its secrets; the same body twice is one row, or one for each part of it."""

    class Outcome(models.TextChoices):
        """What became of it."""

        STORED = "stored", "stored, not yet applied"
        APPLIED = "applied"
        IGNORED = "ignored", "understood, nothing to keep"
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
    due_at = models.DateTimeField(default=timezone.now, help_text="when it is to be applied, or to be tried again")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="when it got its outcome")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="how often applying it has failed")
    is_history = models.BooleanField(default=False, help_text="of an import, applied beside what is new")
    part = models.PositiveIntegerField(default=1, help_text="a long import is kept in parts")
    parts = models.PositiveIntegerField(default=1)
    size = models.PositiveIntegerField(default=0, help_text="characters of the body")
    request_id = models.CharField(max_length=64, blank=True, default="", help_text="by which the logs know it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "digest"], name="event_digest")]
        indexes = [
            models.Index(fields=["outcome", "id"], name="event_outcome"),
            models.Index(fields=["instance", "due_at"], condition=Q(outcome="stored"), name="event_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk} ({self.outcome})"


class IngestLease(models.Model):
    """An instance's turn at being applied: locked by the worker who applies its events, and how soon the next may."""

    instance = models.OneToOneField(Instance, models.CASCADE, related_name="+", primary_key=True)
    next_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"turn of {self.instance_id}"


class IngestCounter(models.Model):
    """How often something has happened to an instance's events, summed up over all processes."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="ingest_counts", db_index=False)
    name = models.CharField(max_length=32)
    value = models.BigIntegerField()

    class Meta:
        verbose_name = verbose_name_plural = "inbox"
        constraints = [models.UniqueConstraint(fields=["instance", "name"], name="ingest_count")]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class PendingUpdate(models.Model):
    """What an event says about a message, kept while another message may still come that it is meant for.

    `chat` is the key of the address it names, or "" when it names none that can be trusted; `from_me` may be unknown.
    One row holds the join of all that was said in the same way of the same message.
    """

    class Kind(models.TextChoices):
        """What is said."""

        STATUS = "status"
        EDIT = "edit"
        DELETE = "delete"
        REACTION = "reaction"
        POLL = "poll"

    class FromMe(models.IntegerChoices):
        """Whose message it is about."""

        UNKNOWN = -1
        NO = 0
        YES = 1

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    key_id = models.CharField(max_length=255)
    chat = models.CharField(max_length=128, blank=True, default="")
    from_me = models.SmallIntegerField(choices=FromMe)
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(
        max_length=128, blank=True, default="", help_text="the address key of who says it, or `me`"
    )
    rank_or_ms = models.BigIntegerField(db_column="at", help_text="ms since the epoch, or the rank of a status")
    value = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "key_id", "chat", "from_me", "kind", "subject"], name="parked_update"
            )
        ]
        indexes = [
            models.Index(fields=["instance", "chat"], name="parked_chat"),
            models.Index(fields=["instance", "subject"], name="parked_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class StateClock(models.Model):
    """When each latest-state value of a row was said; kept apart, for the row need not change when nothing new is said.

    `subject` names the row: `instance`, `contact:12`, `direct:12` (that contact's conversation), `chat:<jid>`. `clocks`
    maps a field to Evolution's `date_time`: the host's wall clock with a false Z, compared with nothing but the other
    clocks of its instance.
    """

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    subject = models.CharField(max_length=160)
    clocks = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "subject"], name="state_clock")]

    def __str__(self) -> str:
        return self.subject
