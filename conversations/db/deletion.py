"""An `on_delete` that deletes the referring rows in SQL, for relations with too many rows to load into memory."""

from typing import Any

from django.db.models import CASCADE, Field, QuerySet
from django.db.models.deletion import Collector, get_candidate_relations_to_delete


def DB_CASCADE(  # noqa: N802 - an `on_delete` value like CASCADE
    collector: Collector,
    field: "Field[Any, Any]",  # noqa: ARG001 - Django passes it
    rows: QuerySet[Any],
    using: str,
) -> None:
    """Delete the referring rows, and the rows that cascade from those, without loading any.

    Django sends no delete signals for these rows. `CachedQuerySet` invalidates their whole namespace instead. A row
    that refers to them by a relation which does not cascade makes the transaction fail when it commits.
    """
    relations: Any = get_candidate_relations_to_delete(rows.model._meta)  # noqa: SLF001 - Django documents _meta
    for related in relations:
        if related.on_delete in (CASCADE, DB_CASCADE):
            manager = related.related_model._base_manager  # noqa: SLF001 - Django documents _base_manager
            dependents = manager.using(using).filter(**{f"{related.field.name}__in": rows.values("pk")})
            DB_CASCADE(collector, related.field, dependents, using)
    collector.fast_deletes.append(rows)


DB_CASCADE.lazy_sub_objs = True  # type: ignore[attr-defined]  # Django reads it: do not query the referring rows first
