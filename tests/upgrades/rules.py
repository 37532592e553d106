"""Judges whether the release before a migration can go on working after it, while the new one is started.

A migration may only expand the schema: add tables, columns that old code need not know, and indexes. What old code uses
is removed in a later release, when no running release uses it any more. SQL in `RunSQL` and `RunPython` is not judged.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelManagers,
    AlterModelOptions,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameIndex,
    RenameModel,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, ManyToManyField
from django.db.models.fields import NOT_PROVIDED

State = tuple[ProjectState, ProjectState, str]  # before and after the operation, and the name of the app


def breaks(operation: Operation, state: State) -> str:
    """Return why old code fails after an operation, or ""."""
    judge = JUDGES.get(type(operation))
    return f"{type(operation).__name__} is not judged" if judge is None else judge(operation, state)


def breaks_of_migrations(apps: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what each migration of some apps breaks, by its name; migrations that break nothing are left out."""
    loader = MigrationLoader(None)
    plan = dict.fromkeys(node for leaf in loader.graph.leaf_nodes() for node in loader.graph.forwards_plan(leaf))
    state, found = ProjectState(), {}
    for app, name in plan:
        reasons, present = [], state.models.keys()
        for operation in loader.graph.nodes[app, name].operations:
            before, state = state, state.clone()
            operation.state_forwards(app, state)
            is_of_new_table = (app, getattr(operation, "model_name", "").lower()) in state.models.keys() - present
            if app in apps and not is_of_new_table:
                reasons.append(breaks(operation, (before, state, app)))
        if any(reasons):
            found[f"{app}.{name}"] = [reason for reason in reasons if reason]
    return found


# --- operations -------------------------------------------------------------------------------------------------------
def _never(_operation: Any, _state: State) -> str:
    return ""


def _says(reason: str) -> Callable[[Any, State], str]:
    return lambda operation, _state: f"{operation.describe()}: {reason}"


def _adds_field(operation: Any, _state: State) -> str:
    field = operation.field
    may_be_left_out = isinstance(field, ManyToManyField) or field.null or field.db_default is not NOT_PROVIDED
    return "" if may_be_left_out else f"{operation.describe()}: old code inserts rows without it; give it a db_default"


def _alters_field(operation: Any, state: State) -> str:
    old, new = (_field(one, state[2], operation) for one in state[:2])
    if old.null and not new.null and new.db_default is NOT_PROVIDED:
        return f"{operation.describe()}: old code writes NULL"
    if old.column != new.column or (_type(old) != _type(new) and not _is_wider(old, new)):
        return f"{operation.describe()}: old code knows another column or type"
    if new.unique and not old.unique:
        return f"{operation.describe()}: old code may write equal values"
    return ""


def _field(state: ProjectState, app: str, operation: Any) -> Any:
    return state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)  # noqa: SLF001 - Django documents _meta


def _type(field: "Field[Any, Any]") -> str | None:
    return field.db_type(connection)


def _is_wider(old: Any, new: Any) -> bool:
    """Return whether a text may now be longer; of all else, another type is another type."""
    kinds = {field.get_internal_type() for field in (old, new)}
    is_text = kinds <= {"CharField", "SlugField", "URLField", "TextField"}
    return is_text and (new.max_length is None or (old.max_length is not None and old.max_length <= new.max_length))


def _separates(operation: Any, state: State) -> str:
    return "; ".join(filter(None, (breaks(one, state) for one in _database_operations(operation))))


def _database_operations(operation: SeparateDatabaseAndState) -> Iterator[Operation]:
    yield from operation.database_operations


JUDGES: dict[type[Operation], Callable[[Any, State], str]] = {
    CreateModel: _never,
    AddIndex: _never,
    RemoveIndex: _never,  # old code becomes slower at worst
    RenameIndex: _never,
    AlterModelOptions: _never,
    AlterModelManagers: _never,
    RunPython: _never,
    RunSQL: _never,
    AddField: _adds_field,
    AlterField: _alters_field,
    SeparateDatabaseAndState: _separates,
    AddConstraint: _says("old code may write rows that it refuses"),
    RemoveConstraint: _says("old code may name it in an upsert"),
    RemoveField: _says("old code reads and writes it"),
    DeleteModel: _says("old code reads and writes it"),
    RenameField: _says("old code knows the old name"),
    RenameModel: _says("old code knows the old name"),
}
