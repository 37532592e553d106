from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.admin import content
from conversations.admin.content import Line
from conversations.models import Message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
NAMES = st.sampled_from(
    ["size", "seconds", "width", "mimetype", "url", "file_name", "contacts", "vcard", "options", "stage", "address",
     "degreesLatitude", "degreesLongitude", "description"]
)  # fmt: skip


def test_every_kind_has_a_name() -> None:
    assert set(content.KINDS) | {"unknown"} == set(Message.Kind.values)
    assert content.kind_of("something new") == content.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("text", "Olá", "Olá"),
        ("image", "Férias", "🖼 Férias"),
        ("image", "", "🖼 Photo"),
        ("text", "x" * 100, f"{'x' * 80}…"),
        ("text", "", ""),
    ],
)
def test_a_preview_is_one_short_line(kind: str, text: str, shown: str) -> None:
    assert content.preview(kind, text) == shown


def test_media_facts_are_told_as_a_file_manager_tells_them() -> None:
    media = {"mimetype": "video/mp4", "size": 2_500_000, "seconds": 75, "width": 720, "height": 1280, "is_gif": True}
    assert [fact.replace("\xa0", " ") for fact in content.media_facts(media)] == [
        "video/mp4", "2.4 MB", "1:15", "720 × 1280", "GIF",  # noqa: RUF001 - the sign of dimensions
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59, "0:59"), (75, "1:15"), (3725, "1:02:05"), (-3, "0:00")]
)
def test_a_length_is_shown_as_a_player_shows_it(seconds: int, shown: str) -> None:
    assert content.duration(seconds) == shown


@pytest.mark.parametrize(
    ("media", "lines"),
    [
        (
            {"file_name": "nota.pdf", "url": "https://files.example.com/n"},
            [Line("nota.pdf", "https://files.example.com/n")],
        ),
        ({"file_name": "nota.pdf", "url": "javascript:alert(1)"}, [Line("nota.pdf")]),
        ({"url": "https://files.example.com/n"}, [Line("file", "https://files.example.com/n")]),
        ({"transcript": "bom dia"}, [Line("“bom dia”")]),
        ({}, []),
    ],
)
def test_a_file_is_named_and_linked_where_it_can_be_had(media: Any, lines: list[Line]) -> None:
    assert list(content.media_lines(media)) == lines


@pytest.mark.parametrize(
    ("kind", "details", "count", "texts"),
    [
        ("location", {"address": "Av. Paulista", "degreesLatitude": -23.5, "degreesLongitude": -46.6}, [],
         ["Av. Paulista", "-23.50000, -46.60000"]),
        ("location", {"degreesLatitude": "-23.5"}, [], []),
        ("contact", {"vcard": "TEL;waid=5511988887777:+55"}, [], ["+5511988887777"]),
        ("contacts", {"contacts": [{"displayName": "Mãe", "vcard": "waid=1"}, {"displayName": "Pai"}, 3]}, [],
         ["Mãe · +1", "Pai"]),
        ("poll", {}, [{"name": "Sim", "voters": ["a", "b"]}, {"name": "Não", "voters": []}], ["Sim: 2", "Não: 0"]),
        ("call", {"stage": "timeout", "is_video": True}, [], ["video, timeout"]),
        ("order", {"orderId": "77", "itemCount": 2, "isForwarded": 1, "raw": {}}, [], ["orderId: 77", "itemCount: 2"]),
    ],
)  # fmt: skip
def test_details_are_told_by_kind(kind: str, details: Any, count: Any, texts: list[str]) -> None:
    assert [line.text for line in content.detail_lines(kind, details, count)] == texts


def test_a_place_leads_to_a_map() -> None:
    line = content.detail_lines("location", {"degreesLatitude": -23.5, "degreesLongitude": -46.6}, [])[-1]
    assert line.url == "https://www.openstreetmap.org/?mlat=-23.500000&mlon=-46.600000#map=16/-23.500000/-46.600000"


@given(st.sampled_from(Message.Kind.values), st.dictionaries(NAMES, JSON), st.dictionaries(NAMES, JSON))
def test_whatever_a_server_sent_can_be_shown(kind: str, media: Any, details: Any) -> None:
    lines = [*content.media_lines(media), *content.detail_lines(kind, details, Message(details=details).poll_count)]
    assert all(isinstance(text, str) for text in (*content.media_facts(media), *(line.text for line in lines)))
    assert all(line.url.startswith(("", "http://", "https://")) for line in lines)
