"""Parsing of message content that no sample payload has: wrappers, unknown kinds, control messages, invalid content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import content
from conversations.evolution.content import parse_content
from conversations.models import Message


@pytest.mark.parametrize("wrapper", sorted(content.WRAPPERS))
def test_every_wrapper_is_removed(wrapper: str) -> None:
    inner = {"imageMessage": {"caption": "oi", "viewOnce": True}}
    parsed = parse_content({"messageContextInfo": {}, wrapper: {"message": inner}})
    assert (parsed.kind, parsed.text) == ("image", "oi")


def test_at_most_five_nested_wrappers_are_removed() -> None:
    message: dict[str, Any] = {"conversation": "fundo"}
    for _ in range(5):
        message = {"ephemeralMessage": {"message": message}}
    assert parse_content(message).text == "fundo"
    for _ in range(50):
        message = {"ephemeralMessage": {"message": message}}
    assert parse_content(message).kind == "unknown"


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ({"extendedTextMessage": {"text": "oi"}}, "text", "oi"),
        ({"ptvMessage": {"seconds": 3}}, "video_note", ""),
        ({"liveLocationMessage": {"caption": "a caminho"}}, "live_location", "a caminho"),
        ({"templateButtonReplyMessage": {"selectedDisplayText": "Sim"}}, "template_reply", "Sim"),
        ({"interactiveResponseMessage": {"body": {"text": "Enviado"}}}, "interactive_reply", "Enviado"),
        ({"listMessage": {"title": "Cardápio"}}, "list", "Cardápio"),
        ({"buttonsMessage": {"contentText": "Escolha"}}, "buttons", "Escolha"),
        ({"productMessage": {"product": {"title": "Bolo"}}}, "product", "Bolo"),
        ({"orderMessage": {"orderTitle": "Pedido 1"}}, "order", "Pedido 1"),
        ({"eventMessage": {"name": "Festa"}}, "event", "Festa"),
        ({"groupInviteMessage": {"groupName": "Equipe"}}, "group_invite", "Equipe"),
        ({"pollCreationMessageV5": {"name": "Qual?"}}, "poll", "Qual?"),
        ({"somethingNewMessage": {"text": "novo"}}, "unknown", "novo"),
    ],
)
def test_a_content_key_gives_a_kind_and_a_text(message: dict[str, Any], kind: str, text: str) -> None:
    parsed = parse_content(message)
    assert (parsed.kind, parsed.text, parsed.is_control) == (kind, text, False)


@pytest.mark.parametrize("key", sorted(content.CONTROL_KEYS))
def test_a_control_key_gives_a_control_message(key: str) -> None:
    assert parse_content({key: {}}).is_control


def test_the_message_type_gives_the_kind_if_there_is_no_content() -> None:
    assert parse_content({"mediaUrl": None}, "imageMessage").kind == "image"
    assert parse_content({}, "interactiveMessage").kind == "interactive_reply"
    assert parse_content(None, "somethingNew").kind == "unknown"


def test_media_fields_have_the_same_names_for_every_channel() -> None:
    baileys = {"imageMessage": {"mimetype": "image/png", "fileLength": {"low": 5, "high": 0}}}
    cloud = {"imageMessage": {"mime_type": "image/png", "id": "M1"}, "mediaUrl": "https://s3/x"}
    assert parse_content(baileys).media == {"mimetype": "image/png", "size": 5}
    assert parse_content(cloud).media == {"mimetype": "image/png", "id": "M1", "url": "https://s3/x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*content.SPECS, "text", "x"]), inner),
    max_leaves=8,
)


@given(json_values)
def test_any_json_gives_a_kind_that_the_model_has(message: Any) -> None:
    assert parse_content(message).kind in Message.Kind.values
