"""The base class of cached models."""

from functools import partial
from typing import Any

from django.db import models, router

from cachelayer.orm.managers import CachedManager
from cachelayer.orm.rules import get_rule
from cachelayer.read.serializers import LazyModelState
from cachelayer.write import transactions


class CachedModel(models.Model):
    """The base class of models whose writes invalidate cached entries, including bulk writes through the manager."""

    _state = LazyModelState()  # replaces the ModelState that Django assigns to each model instance
    objects: models.Manager[Any] = CachedManager()

    class Meta:
        abstract = True
        # Django's own code, such as cascading deletes, uses the base manager.
        base_manager_name = "objects"

    def __getstate__(self) -> Any:
        """Return the attributes to copy or pickle, including `_state`, which Django looks for in `__dict__`."""
        _ = self._state
        return super().__getstate__()

    def save_base(self, raw: bool = False, using: str | None = None, **options: Any) -> None:  # type: ignore[override] # noqa: FBT001, FBT002 - Django defines this signature
        """Save as Django does, while holding a write intent."""
        alias = using or router.db_for_write(type(self), instance=self)
        rule = get_rule(type(self))
        needs_transaction = rule is not None and bool(rule.mutable_fields) and self.pk is not None
        save = partial(super().save_base, raw=raw, using=alias, **options)
        transactions.save_with_intent(alias, self, save, needs_transaction=needs_transaction)
