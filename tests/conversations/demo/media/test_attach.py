"""The files of the demo are what their types say."""

import base64
import io
import wave
from typing import Any

import pytest
from PIL import Image

from conversations.demo import generate
from conversations.demo.media.attach import attach
from conversations.evolution.byte_forms import decode
from conversations.media.file_types import detect
from tests.conversations.demo.variants import records

KINDS = {"imageMessage", "videoMessage", "ptvMessage", "audioMessage", "documentMessage", "stickerMessage"}


@pytest.fixture(scope="module")
def media() -> list[dict[str, Any]]:
    """Return the message records with media that are new in the default demo."""
    return [
        record
        for event in generate.history(7, 300, 25)
        if event.name in ("messages.upsert", "send.message")
        for record in records(event)
        if KINDS & record["message"].keys()
    ]


def file_of(record: dict[str, Any]) -> bytes:
    return base64.b64decode(record["message"]["base64"])


def body_of(record: dict[str, Any]) -> dict[str, Any]:
    (kind,) = KINDS & record["message"].keys()
    body: dict[str, Any] = record["message"][kind]
    return body


def test_each_new_medium_has_a_small_file_of_its_type(media: list[dict[str, Any]]) -> None:
    with_file = [record for record in media if "base64" in record["message"]]
    assert {kind for record in with_file for kind in KINDS & record["message"].keys()} == KINDS
    for record in with_file:
        content, body = file_of(record), body_of(record)
        assert detect(content).mimetype == body.get("mimetype", body.get("mime_type"))
        assert len(content) < 120_000
    assert all("media" in body_of(record) for record in media if record not in with_file)


def test_pictures_and_thumbnails_can_be_decoded(media: list[dict[str, Any]]) -> None:
    pictures = [record for record in media if {"imageMessage", "stickerMessage"} & record["message"].keys()]
    for record in pictures:
        Image.open(io.BytesIO(file_of(record))).load()
        if thumbnail := body_of(record).get("jpegThumbnail"):
            Image.open(io.BytesIO(decode(thumbnail) or b"")).load()


def test_a_voice_message_lasts_as_long_as_its_message_says(media: list[dict[str, Any]]) -> None:
    voices = [record for record in media if "seconds" in record["message"].get("audioMessage", {})]
    assert voices
    for record in voices:
        with wave.open(io.BytesIO(file_of(record))) as sound:
            assert sound.getnframes() / sound.getframerate() == body_of(record)["seconds"]


def test_a_past_message_has_a_thumbnail_and_no_file() -> None:
    body = {"width": 1200, "height": 1600, "mimetype": "image/jpeg", "jpegThumbnail": {}}
    record = attach({"key": {"id": "A"}, "message": {"imageMessage": body}}, "sale", has_file=False)
    assert decode(record["message"]["imageMessage"]["jpegThumbnail"])
    assert "base64" not in record["message"]


def test_other_messages_stay_as_they_are() -> None:
    record = {"key": {"id": "A"}, "message": {"conversation": "oi"}}
    assert attach(dict(record), "sale", has_file=True) == record
