"""Old messages lose their files, files without a message are deleted, and a file that anything may need is kept."""

import datetime as dt
import hashlib
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from conversations.evolution.media_names import media_name
from conversations.ingest.inbox.media import extract_media
from conversations.ingest.worker import media_retention
from conversations.ingest.worker.media_retention import MediaRetention, sweep
from conversations.media.storage import MediaStorage
from conversations.media.thumbnails import made_name, make
from conversations.models import Conversation, Instance, Message, WebhookEvent
from logs.testing import capture
from tests.conversations.ingest.bodies import envelope
from tests.conversations.media.pictures import a_picture
from tests.conversations.rows import a_chat, a_message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def chat(instance: Instance) -> Conversation:
    return a_chat(instance)


def days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def a_file(instance: Instance, content: bytes = b"content", *, days: float = 100) -> str:
    """Store a file that was received some days ago; return its name."""
    name = default_storage.save(media_name(instance.pk, hashlib.sha256(content).hexdigest()), BytesIO(content))
    make_older(name, days)
    return name


def make_older(name: str, days: float) -> None:
    moment = days_ago(days).timestamp()
    os.utime(default_storage.path(name), (moment, moment))


def run(keep_days: float | None = None) -> None:
    for _ in sweep(keep_days):
        pass


def media_of(row: Message) -> Any:
    return Message.objects.get(pk=row.pk).media


def test_without_a_limit_the_files_of_messages_are_kept_for_ever(chat: Conversation) -> None:
    file, thumbnail = a_file(chat.instance), a_file(chat.instance, b"small")
    row = a_message(chat, timestamp=days_ago(9000), media={"file": file, "thumbnail": thumbnail})
    run()
    assert media_of(row) == {"file": file, "thumbnail": thumbnail}
    assert default_storage.exists(file)
    assert default_storage.exists(thumbnail)


def test_an_old_message_loses_its_files_and_says_so(chat: Conversation) -> None:
    file, thumbnail = a_file(chat.instance), a_file(chat.instance, b"small")
    row = a_message(chat, timestamp=days_ago(31), media={"mimetype": "a/b", "file": file, "thumbnail": thumbnail})
    assert Message.objects.fetch(row.pk).media["file"] == file
    run(30)
    assert media_of(row) == {"mimetype": "a/b", "is_removed": True}
    assert Message.objects.fetch(row.pk).media == media_of(row), "the cache is invalidated"
    assert not default_storage.exists(file)
    assert not default_storage.exists(thumbnail)


def test_an_old_link_loses_its_thumbnail(chat: Conversation) -> None:
    row = a_message(chat, timestamp=days_ago(31), media={"thumbnail": a_file(chat.instance)})
    run(30)
    assert media_of(row) == {}


def test_a_file_that_a_younger_message_has_too_is_kept(chat: Conversation) -> None:
    file = a_file(chat.instance)
    old = a_message(chat, timestamp=days_ago(31), media={"file": file})
    young = a_message(chat, timestamp=days_ago(29), media={"thumbnail": file})
    run(30)
    assert (media_of(old), media_of(young)) == ({"is_removed": True}, {"thumbnail": file})
    assert default_storage.exists(file)


def test_messages_on_several_pages(chat: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_retention, "PAGE_ROWS", 2)
    monkeypatch.setattr(media_retention, "STEP_FILES", 2)
    files = [a_file(chat.instance, bytes([n])) for n in range(7)]
    for n, file in enumerate(files):
        a_message(chat, timestamp=days_ago(27.5 + n), media={"file": file})
    run(30)
    assert [default_storage.exists(file) for file in files] == [True] * 3 + [False] * 4


def test_a_made_thumbnail_goes_with_its_picture(chat: Conversation) -> None:
    pictures = [a_file(chat.instance, a_picture(color=color)) for color in ("red", "blue")]
    for picture in pictures:
        make(picture)
        make_older(made_name(picture), 100)
    a_message(chat, timestamp=days_ago(1), media={"file": pictures[0]})
    run(30)
    assert default_storage.exists(made_name(pictures[0]))
    assert not default_storage.exists(pictures[1])
    assert not default_storage.exists(made_name(pictures[1]))


# --- files without a message ------------------------------------------------------------------------------------------
def test_a_file_without_a_message_is_deleted_after_a_month(instance: Instance) -> None:
    old, young = a_file(instance, b"old", days=32), a_file(instance, b"young", days=29)
    run()
    assert not default_storage.exists(old)
    assert default_storage.exists(young)


def test_an_unfinished_file_is_deleted_after_a_month(instance: Instance, folder: Path) -> None:
    part = folder / f"{instance.pk}/ab/tmp123.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    run()
    assert part.exists()
    make_older(f"{instance.pk}/ab/tmp123.part", 40)
    run()
    assert not part.exists()


def test_a_file_that_a_stored_event_may_need_is_kept(instance: Instance) -> None:
    file = a_file(instance, days=50)
    event = WebhookEvent.objects.create(instance=instance, name="x", payload={}, digest="d", outcome="failed")
    WebhookEvent.objects.update(received_at=days_ago(50))
    run(30)
    assert default_storage.exists(file)
    event.delete()
    run(30)
    assert not default_storage.exists(file)


def test_a_file_that_is_received_again_is_kept(instance: Instance) -> None:
    body = envelope("messages.upsert", {"message": {"imageMessage": {}, "base64": "YWJjZA=="}})
    name = extract_media(instance, body)["data"]["message"]["base64"]["file"]
    make_older(name, 100)
    extract_media(instance, envelope("messages.upsert", {"message": {"imageMessage": {}, "base64": "YWJjZA=="}}))
    run(1)
    assert default_storage.exists(name)


def test_a_message_that_is_applied_during_a_pass_keeps_its_file(chat: Conversation) -> None:
    file = a_file(chat.instance)
    steps = sweep(30)
    next(steps)  # has read the messages
    a_message(chat, timestamp=days_ago(1), media={"file": file})
    for _ in steps:
        pass
    assert default_storage.exists(file)


# --- whose files they are ---------------------------------------------------------------------------------------------
def test_the_files_of_another_database_are_kept(instance: Instance) -> None:
    run()
    file = a_file(instance)
    Instance.objects.filter(pk=instance.pk).update(created_at=days_ago(1))
    with capture() as records:
        run()
    assert default_storage.exists(file)
    assert any("Media KEPT" in record["message"] for record in records)


def test_other_files_and_the_folders_of_unknown_instances_are_kept(instance: Instance, folder: Path) -> None:
    for name in ("notes.txt", f"{instance.pk}/notes.txt", f"{instance.pk + 1}/ab/" + "ab" * 32):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        make_older(name, 1000)
    run(1)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"notes.txt", "owner", "ab" * 32}
    assert (folder / f"{instance.pk}/notes.txt").exists()


@pytest.mark.parametrize("days", [29, 31])
def test_the_files_of_a_deleted_instance_are_deleted_if_the_database_is_known(instance: Instance, days: int) -> None:
    deleted = Instance.objects.create(name="deleted")
    files = [a_file(deleted, b"old"), a_file(deleted, b"young", days=2)]
    deleted.delete()
    run()
    assert default_storage.exists(files[0]), "nothing shows that the folder belongs to this database"
    make_older(f"{instance.pk}/{media_retention.OWNER}", days)
    run()
    assert [default_storage.exists(file) for file in files] == [days < 30, True]


# --- steps ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEP_SECONDS", "PASS_SECONDS", "FIRST_SECONDS"):
        monkeypatch.setattr(media_retention, name, 0.0)


@pytest.mark.usefixtures("no_pause")
def test_the_worker_deletes_step_by_step(instance: Instance) -> None:
    file = a_file(instance)
    schedule = MediaRetention(None)
    for _ in range(6):
        schedule.step()
    assert not default_storage.exists(file)


def test_the_first_pass_waits(instance: Instance) -> None:
    file = a_file(instance)
    schedule = MediaRetention(None)
    for _ in range(6):
        schedule.step()
    assert default_storage.exists(file)


@pytest.mark.usefixtures("no_pause")
def test_a_slow_storage_pauses_the_pass_after_each_file(instance: Instance) -> None:
    files = [a_file(instance, bytes([n])) for n in range(3)]
    left = [sum(map(default_storage.exists, files)) for _ in sweep(None)]
    assert {0, 1, 2, 3} == set(left)


def test_no_lock_is_held_while_files_are_deleted(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(instance)
    levels: list[int] = []
    delete = MediaStorage.delete_older

    def note_and_delete(*arguments: Any) -> bool:
        levels.append(len(connection.savepoint_ids))
        return delete(*arguments)

    monkeypatch.setattr(MediaStorage, "delete_older", note_and_delete)
    run()
    assert levels == [0]


@pytest.mark.usefixtures("no_pause")
def test_a_storage_that_fails_does_not_stop_the_worker(instance: Instance, folder: Path) -> None:
    (folder / f"{instance.pk}").write_text("a file where the folder should be")
    schedule = MediaRetention(None)
    with capture() as records:
        for _ in range(4):
            schedule.step()
    assert any("Media NOT DELETED" in record["message"] for record in records)
