"""The background thread of a web process logs its errors."""

import pytest
from django.db import OperationalError, connection

from conversations.ingest.inbox.web_background import PeriodicTask
from logs.testing import capture
from tests.logs.conftest import throw


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "level"), [(OperationalError("Bom dia!"), "DEBUG"), (TypeError("Bom dia!"), "ERROR")]
)
def test_an_error_is_logged_without_its_text_and_an_unavailable_database_only_at_debug(
    error: Exception, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)  # keep the test's connection open
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    with capture() as logged:
        PeriodicTask(lambda: throw(error), 0.0).run_if_due()
    line = logged.one(context="webhook", level=level, message="Background FAILED")
    assert "in throw" in line["stack"]
    assert "Bom dia" not in str(logged)


def test_a_periodic_task_runs_once_in_its_interval() -> None:
    runs: list[int] = []
    task = PeriodicTask(lambda: runs.append(1), 3600.0)
    task.run_if_due()
    task.run_if_due()
    assert len(runs) == 1
