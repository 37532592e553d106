"""`manage.py verify_restore` accepts a complete copy, and names what a damaged one lacks."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from conversations.changes import history
from conversations.models import Change, Conversation, ConversationTally, Instance, Message
from tests.conversations import rows

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = b"a picture"


@pytest.fixture
def copy(settings: LazySettings, tmp_path: Path) -> Message:
    """Fill the database as a backup might be: a conversation with a picture that has its file."""
    settings.MEDIA_ROOT = tmp_path
    chat = rows.a_chat(rows.an_instance())
    digest = sha256(CONTENT).hexdigest()
    name = default_storage.save(f"{chat.instance_id}/{digest[:2]}/{digest}", ContentFile(CONTENT))
    picture = rows.a_message(chat, kind=Message.Kind.IMAGE, media={"file": name})
    chat.refresh_from_db()
    Conversation.objects.filter(pk=chat.pk).update(**chat.summarize())
    history.only_row()  # the first reader of the change log creates it
    return picture


def verify(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[list[str], int]:
    """Run the command; return the problems that it prints, and its exit status."""
    status = 0
    try:
        call_command("verify_restore", *options)
    except SystemExit as end:
        status = int(str(end.code))
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem")], status


def test_a_complete_copy_is_accepted_and_not_changed(copy: Message, capsys: pytest.CaptureFixture[str]) -> None:
    changes = Change.objects.count()

    assert verify(capsys) == ([], 0)
    assert Change.objects.count() == changes
    assert list(Instance.objects.all()) == [copy.instance]


def lose_file(picture: Message) -> None:
    default_storage.delete(picture.media["file"])


def damage_file(picture: Message) -> None:
    Path(default_storage.path(picture.media["file"])).write_bytes(b"something else")


def lose_message(picture: Message) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_conversation SET last_message_id = NULL")
        cursor.execute("DELETE FROM conversations_message WHERE id = %s", [picture.pk])
    rows.a_message(rows.a_chat(picture.instance), timestamp=timezone.now())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose_file, "1 of 1 files of messages are missing"),
        (damage_file, "files of messages are damaged"),
        (lose_message, "do not agree with their messages"),
    ],
)
def test_what_is_damaged_is_named(
    copy: Message, damage: Callable[[Message], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy)

    problems, status = verify(capsys)

    assert status == 1
    assert any(said in line for line in problems)


@pytest.mark.django_db  # in a transaction, whose end brings the trigger back
def test_a_lost_trigger_is_named(copy: Message, capsys: pytest.CaptureFixture[str]) -> None:
    with connection.cursor() as cursor:
        is_postgresql = connection.vendor == "postgresql"
        catalogue = "pg_trigger" if is_postgresql else "sqlite_master"
        column = "tgname" if is_postgresql else "name"
        cursor.execute(f"SELECT {column} FROM {catalogue} WHERE {column} LIKE 'conversations_change_contact%'")  # noqa: S608 - constants
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}" + (" ON conversations_contact" if is_postgresql else ""))

    problems, _ = verify(capsys)

    assert copy.pk
    assert any("changes of contact are not logged" in line for line in problems)


def test_an_old_copy_is_refused_if_asked_to(copy: Message, capsys: pytest.CaptureFixture[str]) -> None:
    Message.objects.filter(pk=copy.pk).update(created_at=rows.NOON)

    problems, status = verify(capsys, "--max-age", "24")

    assert status == 1
    assert "too old" in problems[0]


@pytest.mark.postgresql
@pytest.mark.usefixtures("copy")
def test_sequences_and_counters_that_are_behind_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('conversations_contact', 'id'), 1, false)")
    ConversationTally.objects.all().delete()

    problems, _ = verify(capsys)

    assert any("new rows of conversations_contact" in line for line in problems)
    assert any("the counters of" in line for line in problems)
