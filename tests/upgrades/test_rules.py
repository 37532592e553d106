"""Migrations only expand the schema; what breaks the release before is listed with a reason."""

from typing import Any

import pytest
from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.upgrades.rules import breaks, breaks_of_migrations

APPS = ("conversations", "cachelayer")
FIRST_RELEASE = "it came before the first release"
# Migrations after which the release before fails → why that does no harm. For a removal: which release stopped the use.
EXCEPTIONS = {
    "cachelayer.0002_rename_models": FIRST_RELEASE,
    "cachelayer.0003_reword": FIRST_RELEASE,
    "conversations.0004_inbox": FIRST_RELEASE,
    "conversations.0006_rename_models": FIRST_RELEASE,
    "conversations.0007_reword": FIRST_RELEASE,
    "conversations.0010_identity": FIRST_RELEASE,
    "conversations.0016_tokens": FIRST_RELEASE,
}


def test_migrations_break_the_release_before_only_if_a_reason_is_given() -> None:
    assert breaks_of_migrations(APPS).keys() == EXCEPTIONS.keys()


@pytest.mark.parametrize(
    ("operation", "is_allowed"),
    [
        (ops.CreateModel("New", [("id", models.AutoField(primary_key=True))]), True),
        (ops.AddField("row", "new", models.TextField(null=True)), True),
        (ops.AddField("row", "new", models.TextField(db_default="")), True),
        (ops.AddField("row", "new", models.TextField(default="")), False),
        (ops.AddIndex("row", models.Index(fields=["text"], name="row_text")), True),
        (ops.AlterField("row", "text", models.CharField(max_length=20, null=True)), True),
        (ops.AlterField("row", "text", models.CharField(max_length=5, null=True)), False),
        (ops.AlterField("row", "text", models.CharField(max_length=10, null=True, help_text="words")), True),
        (ops.AlterField("row", "text", models.CharField(max_length=10)), False),
        (ops.AlterField("row", "text", models.CharField(max_length=10, null=True, db_column="words")), False),
        (ops.AlterField("row", "text", models.CharField(max_length=10, null=True, unique=True)), False),
        (ops.AlterField("row", "text", models.IntegerField(null=True)), False),
        (ops.AddConstraint("row", models.UniqueConstraint(fields=["text"], name="one_text")), False),
        (ops.RemoveField("row", "text"), False),
        (ops.RenameField("row", "text", "words"), False),
        (ops.RenameModel("Row", "Line"), False),
        (ops.DeleteModel("Row"), False),
        (ops.SeparateDatabaseAndState(state_operations=[ops.RemoveField("row", "text")]), True),
        (ops.SeparateDatabaseAndState(database_operations=[ops.RemoveField("row", "text")]), False),
        (ops.AlterModelTable("row", "lines"), False),
    ],
    ids=str,
)
def test_operations_are_judged_by_what_old_code_still_does(operation: Operation, is_allowed: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    before = ProjectState()
    fields: dict[str, Any] = {
        "id": models.AutoField(primary_key=True),
        "text": models.CharField(max_length=10, null=True),
    }
    before.add_model(ModelState("app", "Row", fields))
    after = before.clone()
    operation.state_forwards("app", after)

    assert (breaks(operation, (before, after, "app")) == "") is is_allowed
