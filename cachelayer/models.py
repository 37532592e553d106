"""Cached rows' base class, and what the cache itself keeps in the database."""

from functools import partial
from typing import Any

from django.db import models, router

from cachelayer.orm import rules
from cachelayer.orm.managers import CachedManager
from cachelayer.read.serializers import LazyModelState
from cachelayer.write import transactions


class CachedModel(models.Model):
    """A model whose writes the cache must hear of: those of one row here, all others in its manager's querysets."""

    _state = LazyModelState()  # gives what Django puts there
    objects: models.Manager[Any] = CachedManager()

    class Meta:
        abstract = True
        # Django's own code, such as that of cascading deletes, goes through it too.
        base_manager_name = "objects"

    def __getstate__(self) -> Any:
        """Return what is copied and pickled, as Django does, which looks for `_state` where it puts it."""
        _ = self._state
        return super().__getstate__()

    def save_base(self, raw: bool = False, using: str | None = None, **options: Any) -> None:  # type: ignore[override] # noqa: FBT001, FBT002 - Django's
        """Save as Django does, inside what the cache needs around it."""
        alias = using or router.db_for_write(type(self), instance=self)
        rule = rules.get_rule(type(self))
        needs_transaction = rule is not None and bool(rule.mutable_fields) and self.pk is not None
        save = partial(super().save_base, raw=raw, using=alias, **options)
        transactions.save_with_intent(alias, self, save, needs_transaction=needs_transaction)


class Outbox(models.Model):
    """Tags touched by a committed write that the store has not heard of, one a line."""

    tags = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"outbox {self.pk}"


class CounterTotal(models.Model):
    """One count, summed up over all processes that have reported so far."""

    namespace = models.CharField(max_length=64)
    tier = models.CharField(max_length=16, blank=True)
    name = models.CharField(max_length=64)
    value = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["namespace", "tier", "name"], name="statistic")]

    def __str__(self) -> str:
        return f"{self.namespace} {self.tier} {self.name}"
