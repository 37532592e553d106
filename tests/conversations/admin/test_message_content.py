from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.admin import message_content
from conversations.admin.links import LinkedText
from conversations.models import Message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
KEYS = st.sampled_from(
    ["size", "seconds", "width", "mimetype", "url", "file_name", "contacts", "vcard", "options", "stage", "address",
     "degrees_latitude", "degrees_longitude", "description", "items", "total_amount_1000", "product", "start_time",
     "location", "join_link", "native_flow_response_message", "buttons", "sections", "cards", "poll_votes", "edited"]
)  # fmt: skip


def test_every_kind_has_a_name() -> None:
    assert set(message_content.KINDS) | {"unknown"} == set(Message.Kind.values)
    assert message_content.kind_label("something new") == ("❔", "Unsupported kind of message")


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("text", "Olá", "Olá"),
        ("image", "Férias", "🖼 Férias"),
        ("image", "", "🖼 Photo"),
        ("text", "x" * 100, f"{'x' * 80}…"),
        ("text", "", ""),
    ],
)
def test_a_preview_is_one_short_line(kind: str, text: str, line: str) -> None:
    assert message_content.preview(kind, text) == line


def test_media_facts_list_the_known_properties_of_a_file() -> None:
    media = {"mimetype": "video/mp4", "size": 2_500_000, "seconds": 75, "width": 720, "height": 1280, "is_gif": True}
    assert [fact.replace("\xa0", " ") for fact in message_content.media_facts(media)] == [
        "video/mp4", "2.4 MB", "1:15", "720 × 1280", "GIF",  # noqa: RUF001 - the dimensions contain a multiplication sign
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59, "0:59"), (75, "1:15"), (3725, "1:02:05"), (-3, "0:00")]
)
def test_a_duration_is_formatted_in_minutes_and_seconds(seconds: int, text: str) -> None:
    assert message_content.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("media", "lines"),
    [
        (
            {"file_name": "nota.pdf", "url": "https://files.example.com/n"},
            [LinkedText("nota.pdf", "https://files.example.com/n")],
        ),
        ({"file_name": "nota.pdf", "url": "javascript:alert(1)"}, [LinkedText("nota.pdf")]),
        ({"url": "https://files.example.com/n"}, [LinkedText("file", "https://files.example.com/n")]),
        ({"transcript": "bom dia"}, [LinkedText("“bom dia”")]),
        ({}, []),
    ],
)
def test_a_file_shows_its_name_and_link_and_transcript(media: Any, lines: list[LinkedText]) -> None:
    assert list(message_content.media_lines(media)) == lines


@pytest.mark.parametrize(
    ("kind", "details", "poll_count", "texts"),
    [
        ("location", {"address": "Av. Paulista", "degrees_latitude": -23.5, "degrees_longitude": -46.6}, [],
         ["Av. Paulista", "-23.50000, -46.60000"]),
        ("location", {"degrees_latitude": "-23.5"}, [], []),
        ("contact", {"vcard": "TEL;waid=5511988887777:+55"}, [], ["+5511988887777"]),
        ("contacts", {"contacts": [{"display_name": "Mãe", "vcard": "waid=1"}, {"display_name": "Pai"}, 3]}, [],
         ["Mãe · +1", "Pai"]),
        ("poll", {}, [{"name": "Sim", "voter_count": 2}, {"name": "Não", "voter_count": 0}], ["Sim: 2", "Não: 0"]),
        ("call", {"stage": "timeout", "is_video": True}, [], ["video, not answered"]),
        ("product_list", {"id": "77", "count": 2, "is_forwarded": 1, "raw": {}}, [], ["id: 77", "count: 2"]),
        ("event", {"start_time": 0, "edited": {"is_canceled": True, "at": 5}}, [], ["Canceled"]),
    ],
)  # fmt: skip
def test_details_are_formatted_by_kind(kind: str, details: Any, poll_count: Any, texts: list[str]) -> None:
    assert [line.text for line in message_content.detail_lines(kind, details, poll_count)] == texts


def test_a_location_links_to_a_map() -> None:
    line = message_content.detail_lines("location", {"degrees_latitude": -23.5, "degrees_longitude": -46.6}, [])[-1]
    assert line.url == "https://www.openstreetmap.org/?mlat=-23.500000&mlon=-46.600000#map=16/-23.500000/-46.600000"


@given(st.sampled_from(Message.Kind.values), st.dictionaries(KEYS, JSON), st.dictionaries(KEYS, JSON))
def test_any_media_and_details_can_be_displayed(kind: str, media: Any, details: Any) -> None:
    lines = [
        *message_content.media_lines(media),
        *message_content.detail_lines(kind, details, Message(details=details).poll_count),
    ]
    assert all(isinstance(text, str) for text in (*message_content.media_facts(media), *(line.text for line in lines)))
    assert all(line.url.startswith(("", "http://", "https://")) for line in lines)
