"""The base class of cached models."""

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any, Self

from django.db import models

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

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        """Make an instance of a row as Django does, which remembers the values that its tags have."""
        row = super().from_db(db, field_names, values, **options)
        rule = get_rule(cls)
        if rule is not None:
            rule.remember_loaded(row)
        return row

    def _save_table(  # noqa: PLR0913, PLR0917 - Django defines this signature
        self,
        raw: bool = False,  # noqa: FBT001, FBT002 - as above
        cls: type[models.Model] | None = None,
        force_insert: bool = False,  # noqa: FBT001, FBT002 - as above
        force_update: bool = False,  # noqa: FBT001, FBT002 - as above
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> bool:
        """Write the row to one table as Django does, while holding a write intent.

        Every save of a row ends here, also one that bypasses `save` or `save_base`, and after all receivers of
        `pre_save`, which may change the row.
        """
        write = partial(super()._save_table, raw, cls, force_insert, force_update, using, update_fields)  # type: ignore[misc]  # the stubs of Django lack `_save_table`
        rule = get_rule(type(self))
        if rule is None or using is None:
            return bool(write())
        if force_insert or self.pk is None or self._is_inserted_first(raw=raw, force_update=force_update):
            get_tags, needs_transaction = partial(rule.tags_of_insert, self), False
        else:
            get_tags = partial(rule.tags_of_save, self, using, update_fields)
            needs_transaction = rule.needs_query(self)
        is_updated = bool(transactions.write_row(using, get_tags, write, needs_transaction=needs_transaction))
        rule.remember_saved(self, update_fields)
        return is_updated

    def _is_inserted_first(self, *, raw: bool, force_update: bool) -> bool:
        """Tell whether Django tries no UPDATE, because the row is new and its primary key has a default value."""
        has_default = self._meta.pk.has_default() or self._meta.pk.has_db_default()
        return self._state.adding and has_default and not raw and not force_update
