"""The migration of stored details renames them to snake_case, on rows of old versions."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from conversations.models import Message
from tests.conversations.rows import a_group, a_message, an_instance

migration = import_module("conversations.migrations.0008_content_kinds")
OLD = {"degreesLatitude": -23.5, "amount1000": {"low": 5, "high": 0}, "options": [{"optionName": "a"}], "address": "A"}
NEW = {"degrees_latitude": -23.5, "amount_1000": 5, "options": [{"option_name": "a"}], "address": "A"}


@pytest.mark.django_db
def test_stored_details_are_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "BATCH", 2)
    group = a_group(an_instance())
    rows = [a_message(group, key_id=f"K{n}", details=details) for n, details in enumerate([OLD, {}, OLD, NEW, OLD])]
    for _ in range(2):
        migration.rename_details(apps, connection.schema_editor())
        stored = [Message.objects.get(pk=row.pk).details for row in rows]
        assert stored == [NEW, {}, NEW, NEW, NEW]
