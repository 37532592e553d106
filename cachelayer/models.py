"""The database tables of the cache: the outbox, the sums of counters and histograms, and the owner of the cache."""

from django.db import models


class Outbox(models.Model):
    """The tags that a committed write has touched and that could not be sent to the store, one tag a line."""

    tags = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"outbox {self.pk}"


class CounterTotal(models.Model):
    """The value of one counter, summed over all processes that have reported their counters so far."""

    namespace = models.CharField(max_length=64)
    tier = models.CharField(max_length=16, blank=True)
    name = models.CharField(max_length=64)
    value = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "cache page"  # the text of the link to the cache page in Django's admin
        constraints = [models.UniqueConstraint(fields=["namespace", "tier", "name"], name="counter_total")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.tier} {self.name}"


class HistogramTotal(models.Model):
    """The value of one bucket of a histogram, summed over all processes; see `cachelayer.runtime.histograms`."""

    name = models.CharField(max_length=64)
    series = models.CharField(max_length=128, blank=True)
    bucket = models.SmallIntegerField()
    value = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "series", "bucket"], name="histogram_total")]

    def __str__(self) -> str:
        return f"{self.name} {self.series} {self.bucket}"


class Owner(models.Model):
    """The server process that keeps the cache in its memory, if there is no Redis server; one row at most.

    Attributes:
        token: names the process.
        renewals: how often the process has renewed its ownership.
        process: identifies the process on its machine (`cachelayer.runtime.process_identity`). It is "" if another
            process must not conclude from the end of the process that its last write has ended.
    """

    token = models.CharField(max_length=32)
    renewals = models.BigIntegerField()
    process = models.CharField(max_length=200, blank=True, db_default="")

    def __str__(self) -> str:
        return f"owner {self.token}"
