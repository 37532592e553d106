"""Cascades that delete in SQL: for relations with more rows than memory should hold."""

from typing import Any

from django.db.models import CASCADE, Field, QuerySet
from django.db.models.deletion import Collector, get_candidate_relations_to_delete


def DB_CASCADE(collector: Collector, field: "Field[Any, Any]", rows: QuerySet[Any], using: str) -> None:  # noqa: ARG001 - Django's
    """Delete the rows that refer to what is deleted, and what hangs on them, without loading any (an `on_delete`).

    No signal is sent for them. Their querysets announce it to the cache (`CachedQuerySet`), which touches all of their
    namespace. A row that refers to them by a relation that is no cascade makes the transaction fail at its commit.
    """
    relations: Any = get_candidate_relations_to_delete(rows.model._meta)  # noqa: SLF001 - Django's documented way to it
    for related in relations:
        if related.on_delete in (CASCADE, DB_CASCADE):
            manager = related.related_model._base_manager  # noqa: SLF001 - sees every row
            hanging = manager.using(using).filter(**{f"{related.field.name}__in": rows.values("pk")})
            DB_CASCADE(collector, related.field, hanging, using)
    collector.fast_deletes.append(rows)


DB_CASCADE.lazy_sub_objs = True  # type: ignore[attr-defined]  # Django's mark: it is not to look whether there are any
