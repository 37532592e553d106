"""Thumbnails are found at every place where WhatsApp puts them, and nowhere else."""

from typing import Any

import pytest

from conversations.evolution.thumbnails import find_thumbnails, referenced_name, thumbnail_name

NAME, OTHER = "1/ab/" + "ab" * 32, "1/cd/" + "cd" * 32
FILE = {"file": NAME}
HASH = {str(n): n for n in range(32)}


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({}, []),
        ({"jpegThumbnail": FILE}, ["jpegThumbnail"]),
        ({"a": {"b": {"thumbnail": FILE}}, "pngThumbnail": FILE}, ["pngThumbnail", "thumbnail"]),
        ({"contextInfo": {"quotedMessage": {"imageMessage": {"jpegThumbnail": FILE}}}}, []),
        ({"viewOnceMessage": {"message": {"imageMessage": {"jpegThumbnail": FILE}}}}, []),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"thumbnail": FILE}}}}}}}, []),
        (
            {"fileSha256": HASH, "cards": [{"jpegThumbnail": FILE}], "text": "jpegThumbnail", "thumbnail": None},
            ["thumbnail"],
        ),
    ],
)
def test_where_thumbnails_are(content: dict[str, Any], places: list[str]) -> None:
    assert [name for _, name in find_thumbnails(content)] == places


@pytest.mark.parametrize(
    "value", [None, "", 1, [], {}, NAME, [FILE], {"file": None}, {"file": "../x"}, {"file": [NAME]}]
)
def test_other_values_are_no_reference(value: Any) -> None:
    assert referenced_name(value) == ""
    assert thumbnail_name({"jpegThumbnail": value}) == ""


def test_the_order_of_members_does_not_matter() -> None:
    members = [("thumbnail", {"file": OTHER}), ("fileSha256", HASH), ("jpegThumbnail", FILE)]
    assert thumbnail_name(dict(members)) == thumbnail_name(dict(reversed(members))) == NAME
