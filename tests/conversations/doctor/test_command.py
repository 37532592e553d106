"""`manage.py doctor` examines the real database, store and site; its exit status says whether there is a problem."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from conversations.doctor import alarms, site
from conversations.doctor.findings import problem
from conversations.models import Alarm, AlarmMessage, Message
from tests.conversations import rows
from tests.conversations.monitoring.receivers import RefusingMailHandler, running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folders(settings: LazySettings, tmp_path: Path) -> None:
    settings.LOG_DIR, settings.MEDIA_ROOT = tmp_path / "log", tmp_path / "media"


def examine(capsys: pytest.CaptureFixture[str]) -> tuple[str, int]:
    """Run the command; return what it prints, and its exit status."""
    try:
        call_command("doctor")
    except SystemExit as end:
        return capsys.readouterr().out, int(str(end.code))
    return capsys.readouterr().out, 0


@pytest.mark.usefixtures("folders")
def test_it_examines_what_runs_here(
    settings: LazySettings, live_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PUBLIC_URL = live_server.url
    settings.ALARM_CHANNELS, settings.METRICS_KEY = [], ""

    said, _ = examine(capsys)

    assert f"ok        the site answers at {live_server.url}" in said
    assert "warning   nobody hears of alarms" in said
    assert "ok        all migrations have been applied" in said
    if connection.vendor == "postgresql":
        assert "ok        the clocks of the database and of this host agree" in said
        assert "problem   fsync is off in PostgreSQL" in said  # as in all tests, which need no durability
        assert "ok        the clocks of the shared store and of this host agree" in said
        assert "problem   no worker is connected" in said


@pytest.mark.postgresql
@pytest.mark.usefixtures("folders")
def test_it_writes_to_the_database_and_undoes_it(capsys: pytest.CaptureFixture[str]) -> None:
    with connection.cursor() as cursor:
        assert "cannot be written" not in examine(capsys)[0]
        cursor.execute("SELECT count(*) FROM pg_largeobject_metadata")
        assert cursor.fetchone() == (0,)
        cursor.execute("SET default_transaction_read_only = on")
        said, _ = examine(capsys)
        cursor.execute("RESET default_transaction_read_only")
    assert "problem   the database cannot be written: cannot execute lo_from_bytea() in a read-only" in said


@pytest.mark.usefixtures("folders")
def test_it_finds_what_is_wrong(settings: LazySettings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.ALARM_EMAIL = "127.0.0.1", 9, ["ana@example.com"]
    settings.ALARM_CHANNELS = ["email"]
    alarm = Alarm.objects.create(kind="probe")
    AlarmMessage.objects.create(alarm=alarm, channel="email", is_recovery=False, attempts=1)
    chat = rows.a_chat(rows.an_instance(name="sales", server_url="https://evo.example"))
    for _ in range(5):
        rows.a_message(chat, kind=Message.Kind.IMAGE, media={"mimetype": "image/jpeg"}, timestamp=timezone.now())

    said, exit_status = examine(capsys)

    assert exit_status == 1
    assert "problem   http://127.0.0.1:9 cannot be reached from this host" in said
    assert "problem   the mail server of EMAIL_URL cannot be used, so alarms are not sent: Connection refused" in said
    assert "problem   1 message about an alarm could not be sent" in said
    assert "problem   evo.example cannot reach http://127.0.0.1:9" in said
    assert "problem   none of the 5 newest media of sales came with its file" in said
    assert said.index("warning ") < said.index("problem ")


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("password", "error"), [("wrong", "SMTPAuthenticationError"), ("\N{KEY}", "UnicodeEncodeError")]
)
def test_it_finds_a_password_that_the_mail_server_refuses(settings: LazySettings, password: str, error: str) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ana", password
    settings.ALARM_CHANNELS, settings.ALARM_EMAIL = ["email"], ["ana@example.com"]
    with running(RefusingMailHandler) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        (found,) = alarms.examine()
    assert found == problem(f"the mail server of EMAIL_URL cannot be used, so alarms are not sent: {error}")


@pytest.mark.once
def test_it_examines_the_folder_of_sqlite(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOG_DIR = settings.MEDIA_ROOT = tmp_path
    folder = tmp_path / "database"
    folder.touch()  # a file in place of the folder: nothing can be written below it
    monkeypatch.setitem(connection.settings_dict, "NAME", folder / "db.sqlite3")
    assert problem(f"cannot write to {folder}: File exists") in list(site.examine())
