"""A media file's name has one form, and contains the instance that owns the file."""

import hashlib

import pytest

from conversations.evolution.content import parse_content
from conversations.evolution.media_names import is_media_name, is_media_of, media_name

DIGEST = hashlib.sha256(b"content").hexdigest()
NAME = media_name(7, DIGEST)


def test_a_name_belongs_to_its_instance_only() -> None:
    assert is_media_name(NAME)
    assert [is_media_of(instance, NAME) for instance in (7, 70, 1)] == [True, False, False]


@pytest.mark.parametrize(
    "value",
    [
        None, 7, True, [], {}, [NAME], {"file": NAME}, "", " ", ".", "..", "\x00", "/etc/passwd", "7/../../etc/passwd",
        "../" + NAME, "/" + NAME, NAME + "/", NAME + "\n", NAME + "\x00", NAME.upper(), "\u0667" + NAME[1:],
        f"7/00/{DIGEST}", f"7/{DIGEST}", f"0/{DIGEST[:2]}/{DIGEST}", f"07/{DIGEST[:2]}/{DIGEST}",
        "x" * 5000, "7" * 5000 + NAME[1:],
    ],
)  # fmt: skip
def test_any_other_value_is_no_name(value: object) -> None:
    assert not is_media_name(value)
    assert not is_media_of(7, value)
    assert "file" not in parse_content({"imageMessage": {}, "base64": {"file": value}}).media


def test_content_has_the_name_that_ingestion_wrote() -> None:
    assert parse_content({"imageMessage": {}, "base64": {"file": NAME}}).media == {"file": NAME}
