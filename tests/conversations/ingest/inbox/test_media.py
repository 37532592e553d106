"""Media in webhook bodies becomes files, in every form of base64; what cannot be decoded stays in the stored body."""

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.storage import default_storage
from django.db import InterfaceError, connection
from django.utils import timezone

from conversations.evolution.content import parse_content
from conversations.evolution.large_json.values import LargeDict, LargeList
from conversations.ingest.conf import LARGE
from conversations.ingest.inbox import media
from conversations.ingest.inbox.media import MAX_THUMBNAIL_BYTES, extract_media
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import left_media
from conversations.ingest.worker.batch import apply_due
from conversations.ingest.worker.worker import Worker
from conversations.media.storage import MediaStorage
from conversations.models import EPOCH, IngestLease, Instance, WebhookEvent
from tests.conversations.ingest.bodies import envelope
from tests.conversations.ingest.inboxes import NO_DELAY
from tests.conversations.ingest.receive import receive
from tests.conversations.media.pictures import a_picture
from tests.payloads import case

pytestmark = pytest.mark.django_db

CONTENT = bytes(range(256)) * 3
STANDARD = base64.b64encode(CONTENT).decode()
FORMS: dict[str, Any] = {
    "standard": STANDARD,
    "data URL": f"data:image/png;base64,{STANDARD}",
    "data URL with parameters": f"DATA:image/png;charset=utf-8;base64,{STANDARD}",
    "URL-safe": base64.urlsafe_b64encode(CONTENT).decode(),
    "URL-safe data URL": "data:;base64," + base64.urlsafe_b64encode(CONTENT).decode(),
    "lines": base64.encodebytes(CONTENT).decode(),
    "Windows lines": base64.encodebytes(CONTENT).decode().replace("\n", "\r\n"),
    "lines escaped twice": base64.encodebytes(CONTENT).decode().replace("\n", "\\n"),
    "quotes": f'"{STANDARD}"',
    "percent-encoded": quote(STANDARD, safe=""),
    "Buffer": {"type": "Buffer", "data": list(CONTENT)},
    "numbers": list(CONTENT),
    "numbers by index": {str(n): byte for n, byte in enumerate(CONTENT)},
}


def record(**message: Any) -> dict[str, Any]:
    return {"data": {"message": {"imageMessage": {"mimetype": "image/png"}, **message}}}


def stored(reference: Any) -> bytes:
    with default_storage.open(reference["file"]) as file:
        content: bytes = file.read()
    return content


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.upsert("big")[0]


@pytest.mark.parametrize("encoded", FORMS.values(), ids=FORMS)
def test_media_in_any_form_becomes_a_file(instance: Instance, encoded: Any) -> None:
    body = extract_media(instance, record(base64=encoded))
    assert stored(body["data"]["message"]["base64"]) == CONTENT


@pytest.mark.parametrize("encoded", ["não é", "", "abcde", "https://x.y/a.png", "=", "data:text/plain,olá"])
def test_text_that_cannot_be_decoded_stays(instance: Instance, encoded: str) -> None:
    body = extract_media(instance, record(base64=encoded))
    assert body == record(base64=encoded)


@pytest.mark.parametrize("value", [5, True, [], {}, {"file": "1/ab/abc"}, {"a": 1}, [300], [1, "x"]])
def test_other_values_are_no_media(instance: Instance, value: Any) -> None:
    assert extract_media(instance, record(base64=value)) == record(base64=None)


def test_media_inside_the_content_moves_to_the_message(instance: Instance) -> None:
    body = extract_media(instance, {"data": [{"message": {"imageMessage": {"id": "1", "media": STANDARD}}}]})
    message = body["data"][0]["message"]
    assert (stored(message["base64"]), message["imageMessage"]) == (CONTENT, {"id": "1", "media": None})
    link = {"data": {"message": {"imageMessage": {"media": "https://x.y/a.png"}, "other": {"media": "abcd"}}}}
    assert extract_media(instance, json.loads(json.dumps(link))) == link


def test_media_inside_wrappers_becomes_a_file(instance: Instance) -> None:
    message = {"viewOnceMessage": {"message": {"imageMessage": {}, "base64": STANDARD}}}
    body = extract_media(instance, {"data": {"message": message}})
    assert stored(body["data"]["message"]["viewOnceMessage"]["message"]["base64"]) == CONTENT


# --- thumbnails -------------------------------------------------------------------------------------------------------
PICTURE = a_picture("JPEG")
NUMBERS = {str(n): byte for n, byte in enumerate(PICTURE)}


def a_record(key_id: str, message: dict[str, Any]) -> dict[str, Any]:
    key = {"remoteJid": "5512900000027@s.whatsapp.net", "fromMe": False, "id": key_id}
    return envelope("messages.upsert", {"key": key, "messageTimestamp": 1765447200, "message": message})


@pytest.mark.parametrize(
    "encoded", [base64.b64encode(PICTURE).decode(), NUMBERS, list(PICTURE), {"type": "Buffer", "data": list(PICTURE)}]
)
def test_a_thumbnail_in_any_form_becomes_a_file(instance: Instance, encoded: Any) -> None:
    body = extract_media(instance, record(videoMessage={"jpegThumbnail": encoded}))
    assert stored(body["data"]["message"]["videoMessage"]["jpegThumbnail"]) == PICTURE


@pytest.mark.parametrize(
    "message",
    [
        {"documentWithCaptionMessage": {"message": {"documentMessage": {"jpegThumbnail": NUMBERS}}}},
        {"locationMessage": {"jpegThumbnail": NUMBERS}},
        {"extendedTextMessage": {"text": "https://x.y", "jpegThumbnail": NUMBERS}},
        {"groupInviteMessage": {"jpegThumbnail": NUMBERS}},
        {"orderMessage": {"orderId": "1", "thumbnail": NUMBERS}},
        {"productMessage": {"product": {"productImage": {"jpegThumbnail": NUMBERS}}}},
        {"interactiveMessage": {"header": {"imageMessage": {"jpegThumbnail": NUMBERS}}, "body": {"text": "x"}}},
        {"templateMessage": {"hydratedTemplate": {"videoMessage": {"jpegThumbnail": NUMBERS}}}},
        {"stickerMessage": {"pngThumbnail": NUMBERS}},
        {"newKindMessage": {"jpegThumbnail": NUMBERS}},
    ],
)
def test_the_thumbnail_of_each_kind_of_content_is_kept(instance: Instance, message: dict[str, Any]) -> None:
    body = extract_media(instance, {"data": {"message": deepcopy(message)}})
    content = parse_content(body["data"]["message"])
    assert stored({"file": content.media["thumbnail"]}) == PICTURE
    assert "thumbnail" not in json.dumps(content.details)


@pytest.mark.parametrize(
    "value",
    [
        {"0": 1, "1": 2},
        "",
        None,
        7,
        [],
        {},
        base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
        base64.b64encode(PICTURE + bytes(MAX_THUMBNAIL_BYTES)).decode(),
        list(PICTURE) + [0] * 2 * MAX_THUMBNAIL_BYTES,
    ],
)
def test_what_is_no_small_picture_is_no_thumbnail(instance: Instance, value: Any) -> None:
    body = record(videoMessage={"jpegThumbnail": value})
    assert extract_media(instance, deepcopy(body)) == body
    assert "thumbnail" not in parse_content(body["data"]["message"]).media


def test_the_thumbnail_of_a_quoted_message_is_no_thumbnail(instance: Instance) -> None:
    context = {"quotedMessage": {"imageMessage": {"jpegThumbnail": NUMBERS}}}
    body = {"data": {"message": {"extendedTextMessage": {"text": "x", "contextInfo": context}, "contextInfo": context}}}
    assert extract_media(instance, deepcopy(body)) == body


def test_a_sender_cannot_claim_the_file_of_a_thumbnail(instance: Instance) -> None:
    name = extract_media(instance, record(videoMessage={"jpegThumbnail": NUMBERS}))["data"]["message"]["videoMessage"]
    receive(instance, a_record("FORGED", {"imageMessage": {"jpegThumbnail": name["jpegThumbnail"]}}))
    assert instance.messages.get().media == {}


def test_any_order_and_repetition_of_copies_gives_the_same_thumbnail(instance: Instance) -> None:
    other = {str(n): byte for n, byte in enumerate(a_picture("JPEG", color="blue"))}
    copies = [{"imageMessage": {"jpegThumbnail": thumbnail}} for thumbnail in (NUMBERS, other, None)]
    for key_id, order in enumerate(permutations(copies)):
        for message in (*order, order[0]):
            receive(instance, a_record(str(key_id), message))
    assert len({row.media["thumbnail"] for row in instance.messages.all()}) == 1


def test_recorded_forms_of_base64(instance: Instance) -> None:
    events = {body["data"]["key"]["id"]: receive(instance, body) for body in case("media-forms")}
    files = {row.key_id: row.media.get("file") for row in instance.messages.all()}
    assert [bool(files[f"B64{n}"]) for n in range(6)] == [True, True, True, True, False, False]
    kept = WebhookEvent.objects.get(pk=events["B644"].pk).payload["data"]["message"]["base64"]
    assert kept == "não é"


def test_media_sent_through_the_cloud_api() -> None:
    instance = Instance.objects.upsert("canal-meta")[0]
    for body in case("meta-media"):
        receive(instance, body)
    media = {row.kind: row.media for row in instance.messages.all()}
    assert set(media["image"]) == {"mimetype", "file_name", "id", "file"}
    assert media["document"]["url"].startswith("http://")
    assert "id" not in media["document"]
    assert stored(media["audio"]).startswith(b"\x89PNG")


# --- many files -------------------------------------------------------------------------------------------------------
COUNT = media.MAX_FILES + 5


def an_import(count: int) -> dict[str, Any]:
    """Build a history import of messages with a file each."""
    contents = [base64.b64encode(b"%d" % n).decode() for n in range(count)]
    records = [a_record(f"H{n}", {"imageMessage": {}, "base64": text})["data"] for n, text in enumerate(contents)]
    return envelope("messages.set", records)


def encoded(body: dict[str, Any]) -> LargeDict:
    """Return a body whose records are encoded, as those of a large body are."""
    items = [json.dumps(item).encode() for item in body["data"]]
    return LargeDict({**body, "data": LargeList(json.JSONDecoder(), items)})


def count_files(instance: Instance) -> int:
    """Return how many records of the stored bodies refer to a file."""
    records = (item for payload in instance.events.values_list("payload", flat=True) for item in payload["data"])
    return sum(isinstance(item["message"]["base64"], dict) for item in records)


@pytest.mark.parametrize("convert", [dict, encoded])
def test_the_web_process_writes_some_files_of_a_body_and_workers_the_others(
    instance: Instance, convert: Callable[[dict[str, Any]], object]
) -> None:
    for _ in range(2):
        store_body(instance, convert(an_import(COUNT)))
    assert count_files(instance) == media.MAX_FILES
    assert instance.events.count() == 2  # the parts of the import
    Worker(NO_DELAY).drain()
    found = {row.key_id: stored(row.media) for row in instance.messages.all()}
    assert found == {f"H{n}": b"%d" % n for n in range(COUNT)}


def test_workers_write_the_large_files_of_a_part(instance: Instance) -> None:
    """A part of more than 1 MB is decoded in steps."""
    body = an_import(COUNT)
    contents = [bytes([n]) * 600_000 for n in range(3)]
    for item, content in zip(body["data"][-3:], contents, strict=True):
        item["message"]["base64"] = base64.b64encode(content).decode()
    store_body(instance, body)
    assert max(instance.events.values_list("size", flat=True)) > LARGE
    Worker(NO_DELAY).drain()
    rows = instance.messages.order_by("key_id").exclude(media={})
    assert rows.count() == COUNT
    assert [stored(row.media) for row in rows if row.key_id in {f"H{n}" for n in range(COUNT - 3, COUNT)}] == contents


def test_workers_hold_no_lock_while_they_write_files(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_body(instance, an_import(COUNT))
    levels: list[int] = []
    touch = MediaStorage.touch

    def note_and_touch(*arguments: Any) -> bool:
        levels.append(len(connection.savepoint_ids))
        return touch(*arguments)

    monkeypatch.setattr(MediaStorage, "touch", note_and_touch)
    Worker(NO_DELAY).drain()
    assert levels == [0] * (COUNT - media.MAX_FILES)


def test_the_events_of_others_are_applied_between_the_files_of_an_import(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_media, "STEP_SECONDS", 0.0)
    store_body(instance, an_import(COUNT))
    other, worker = Instance.objects.create(name="other"), Worker(NO_DELAY)
    worker.round(ignore_schedule=True)  # applies the first part
    for left in reversed(range(COUNT - media.MAX_FILES)):
        store_body(other, a_record(f"OTHER{left}", {"conversation": "oi"}))
        worker.round(ignore_schedule=True)
        assert other.messages.filter(key_id=f"OTHER{left}").exists()
        assert count_files(instance) == COUNT - left
    worker.drain()
    assert instance.messages.filter(media__has_key="file").count() == COUNT


def test_media_beyond_the_limit_stay_until_they_are_extracted_again(instance: Instance) -> None:
    forms = [record(base64=form)["data"] for form in FORMS.values()]
    thumbnails = [record(videoMessage={"jpegThumbnail": form})["data"] for form in (NUMBERS, list(PICTURE))]
    inside = {"message": {"imageMessage": {"media": FORMS["Buffer"]}}}
    body = {"data": [*forms, *thumbnails, inside]}
    once = extract_media(instance, deepcopy(body))
    assert extract_media(instance, deepcopy(body), 0) == body
    assert extract_media(instance, extract_media(instance, deepcopy(body), 3)) == once


def test_media_that_a_worker_cannot_write_are_written_later(instance: Instance, settings: Any, tmp_path: Path) -> None:
    store_body(instance, an_import(COUNT))
    folder = tmp_path / "file"
    folder.touch()
    whole = settings.MEDIA_ROOT
    settings.MEDIA_ROOT = folder
    Worker(NO_DELAY).drain()
    assert set(instance.events.values_list("outcome", "reason")) == {("applied", ""), ("stored", "NotADirectoryError")}
    settings.MEDIA_ROOT = whole
    WebhookEvent.objects.update(due_at=timezone.now())
    worker = Worker(NO_DELAY)
    worker.round()  # writes the files
    worker.round()
    assert instance.messages.filter(media__has_key="file").count() == COUNT


@pytest.mark.parametrize("size", [1, 600_000])
def test_a_step_that_fails_keeps_what_it_has_written(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The references of its files were lost, and an event was given up although each attempt got further."""
    body = an_import(COUNT)
    for number, item in enumerate(body["data"][-5:]):
        item["message"]["base64"] = base64.b64encode(bytes([number]) * size).decode()
    store_body(instance, body)
    WebhookEvent.objects.filter(payload__data__0__key__id="H0").delete()
    (event,) = instance.events.all()
    tried: list[str] = []
    touch = MediaStorage.touch

    def fail_each_third(storage: MediaStorage, name: str) -> bool:
        tried.append(name)
        if len(tried) % 3 == 0:
            raise OSError("slow")
        return touch(storage, name)

    monkeypatch.setattr(MediaStorage, "touch", fail_each_third)
    found = []
    for _ in range(3):
        WebhookEvent.objects.update(due_at=timezone.now())
        apply_due(instance.pk, replace(NO_DELAY, attempts=2))
        event.refresh_from_db()
        found.append((count_files(instance), event.attempts, event.outcome))
    assert found == [(2, 1, "stored"), (4, 1, "stored"), (5, 0, "stored")]
    assert len(tried) == 7, "no file is written twice"


def test_media_that_cannot_be_written_leave_the_outcome_of_another_worker(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish_and_fail(*_: Any) -> bool:
        WebhookEvent.objects.update(outcome="applied")
        raise OSError("no space")

    store_body(instance, an_import(COUNT))
    monkeypatch.setattr(MediaStorage, "touch", finish_and_fail)
    for _ in range(2):
        apply_due(instance.pk, NO_DELAY, ignore_schedule=True)
    assert set(instance.events.values_list("outcome", "attempts")) == {("applied", 0)}


def test_an_unavailable_database_leaves_no_lease_while_media_are_written(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bool:
        raise InterfaceError("connection closed")

    store_body(instance, an_import(COUNT))
    apply_due(instance.pk, NO_DELAY, ignore_schedule=True)
    monkeypatch.setattr(MediaStorage, "touch", fail)
    with pytest.raises(InterfaceError):
        apply_due(instance.pk, NO_DELAY, ignore_schedule=True)
    assert IngestLease.objects.get(pk=instance.pk).next_at == EPOCH
