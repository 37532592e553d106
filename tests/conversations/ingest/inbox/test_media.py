"""Media in webhook bodies becomes files, in every form of base64; what cannot be decoded stays in the stored body."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.storage import default_storage
from hypothesis import given
from hypothesis import strategies as st

from conversations.ingest.inbox.media import decode, extract_media
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.receive import receive
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


@pytest.mark.parametrize("index", ["1" * 5000, "0" * 10 + "1", "\u0661", "²", "-1", "1.0", ""])
def test_an_object_with_other_names_than_indexes_is_no_buffer(index: str) -> None:
    assert decode({index: 1, "2": 3}) == b""


@given(st.binary(min_size=1, max_size=40), st.booleans())
def test_missing_padding_is_added(content: bytes, is_url_safe: bool) -> None:  # noqa: FBT001 - a parameter of the test
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    assert decode(encode(content).decode().rstrip("=")) == content


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
