"""The models of monitoring: alarms and their messages, and what the alarm rules and the plots need to remember."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from conversations.models.instance import Instance


class Alarm(models.Model):
    """Something that needs a person: it is raised once, and ends when its cause is gone.

    Attributes:
        kind: the name of a rule (`conversations.monitoring.rules`).
        subject: the primary key of the instance that it is about, or 0 for the whole site.
        name: the name of the instance when the alarm was raised.
        detail: what was found, in words.
        since: when the rule first held.
        announced_at: when messages were queued, because the rule had held for long enough.
        ended_at: when the rule no longer held.
    """

    kind = models.CharField(max_length=32)
    subject = models.BigIntegerField(default=0)
    name = models.CharField(max_length=255, blank=True, default="")
    detail = models.CharField(max_length=255, blank=True, default="")
    since = models.DateTimeField(default=timezone.now)
    announced_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], condition=Q(ended_at=None), name="alarm_open")
        ]
        indexes = [models.Index(fields=["ended_at"], name="alarm_ended")]

    def __str__(self) -> str:
        return f"#{self.pk}"


class AlarmMessage(models.Model):
    """A message about an alarm for one channel: that it was raised, or that it has ended."""

    class Channel(models.TextChoices):
        """How a message is sent."""

        EMAIL = "email"
        WEBHOOK = "webhook"

    alarm = models.ForeignKey(Alarm, models.CASCADE, related_name="messages", db_index=False)
    channel = models.CharField(max_length=8, choices=Channel)
    is_recovery = models.BooleanField()
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alarm", "channel", "is_recovery"], name="alarm_message"),
        ]
        indexes = [models.Index(fields=["channel", "due_at"], condition=Q(sent_at=None), name="alarm_message_due")]

    def __str__(self) -> str:
        return f"{self.channel} about alarm {self.alarm_id}"


class Turn(models.Model):
    """Lets one process at a time do something regularly: whoever moves `next_at` ahead does it."""

    name = models.CharField(max_length=32, primary_key=True)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class CheckResult(models.Model):
    """The last result of a regular check: of the probe, of the audit of the cache, or of the storage of media."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()
    is_ok = models.BooleanField()
    seconds = models.FloatField(default=0.0, help_text="how long the check took")
    detail = models.CharField(max_length=255, blank=True, default="")

    def __str__(self) -> str:
        return self.name


class ActiveHour(models.Model):
    """An hour, counted from the epoch, in which an instance had events. Eight days are kept."""

    instance = models.ForeignKey(Instance, models.CASCADE, related_name="+", db_index=False)
    hour = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "hour"], name="active_hour")]
        indexes = [models.Index(fields=["hour"], name="active_hour_age")]

    def __str__(self) -> str:
        return f"{self.instance_id} {self.hour}"


class RefusalMark(models.Model):
    """The last seen number of refused webhooks of an instance, and when it was seen to grow."""

    instance = models.OneToOneField(Instance, models.CASCADE, related_name="+", primary_key=True)
    value = models.BigIntegerField()
    grew_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.instance_id} {self.value}"


class MinuteRecord(models.Model):
    """The counters of the whole site at the beginning of a minute, for plots. A day is kept.

    Attributes:
        minute: the minute, counted from the epoch.
        messages: new messages so far (`conversations.ingest.metrics`).
        failed: events that used up their attempts so far.
        refused: refused webhooks so far.
        errors: requests so far that were answered with an error of the server.
        cache_hits: reads so far that a cache answered.
        cache_misses: cached reads so far that the database answered.
        lags: how many events fell into each bucket of the histogram of the ingestion's lag so far.
        waiting: how many events wait then.
        late: the seconds since the earliest due time of these.
    """

    minute = models.IntegerField(primary_key=True)
    messages = models.BigIntegerField()
    failed = models.BigIntegerField()
    refused = models.BigIntegerField()
    errors = models.BigIntegerField()
    cache_hits = models.BigIntegerField()
    cache_misses = models.BigIntegerField()
    lags = models.JSONField(default=list)
    waiting = models.IntegerField()
    late = models.FloatField()

    def __str__(self) -> str:
        return f"minute {self.minute}"
