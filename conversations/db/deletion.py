"""An `on_delete` handler that deletes referring rows in SQL, for relations with too many rows to load into memory."""

from typing import Any

from django.db.models import CASCADE, Field, QuerySet
from django.db.models.deletion import Collector, get_candidate_relations_to_delete


def DB_CASCADE(  # noqa: N802 - Django's on_delete handlers have names in capitals, such as CASCADE
    collector: Collector,
    field: "Field[Any, Any]",  # noqa: ARG001 - Django passes the field to each on_delete handler
    rows: QuerySet[Any],
    using: str,
) -> None:
    """Delete `rows`, and all rows that cascade from them, without loading any row into memory.

    Django sends no `post_delete` signals for rows that are deleted in SQL, so `CachedQuerySet` invalidates the cache
    namespaces of their models. If a deleted row is still referred to by a foreign key that does not cascade, the
    transaction fails when it commits.
    """
    relations: Any = get_candidate_relations_to_delete(rows.model._meta)  # noqa: SLF001 - Django documents _meta
    for related in relations:
        if related.on_delete in (CASCADE, DB_CASCADE):
            manager = related.related_model._base_manager  # noqa: SLF001 - Django documents _base_manager
            dependents = manager.using(using).filter(**{f"{related.field.name}__in": rows.values("pk")})
            DB_CASCADE(collector, related.field, dependents, using)
    collector.fast_deletes.append(rows)


DB_CASCADE.lazy_sub_objs = True  # type: ignore[attr-defined]  # makes Django not load referring rows
