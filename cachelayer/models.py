"""The cache's own tables."""

from django.db import models


class Outbox(models.Model):
    """Tags touched by a committed write that the store has not heard of, one a line."""

    tags = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"outbox {self.pk}"


class CounterTotal(models.Model):
    """One counter, summed over all processes that have reported so far."""

    namespace = models.CharField(max_length=64)
    tier = models.CharField(max_length=16, blank=True)
    name = models.CharField(max_length=64)
    value = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "statistics"  # the admin's link to the page of the cache
        constraints = [models.UniqueConstraint(fields=["namespace", "tier", "name"], name="counter_total")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.tier} {self.name}"
