"""Contents that no sample shows: wrappers, unknown kinds, signals, nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import content
from conversations.models import Message


@pytest.mark.parametrize("wrapper", sorted(content.WRAPPERS))
def test_every_wrapper_is_taken_off(wrapper: str) -> None:
    inner = {"imageMessage": {"caption": "oi", "viewOnce": True}}
    read = content.read({"messageContextInfo": {}, wrapper: {"message": inner}})
    assert (read.kind, read.text) == ("image", "oi")


def test_wrappers_are_taken_off_five_deep_and_not_for_ever() -> None:
    message: dict[str, Any] = {"conversation": "fundo"}
    for _ in range(5):
        message = {"ephemeralMessage": {"message": message}}
    assert content.read(message).text == "fundo"
    for _ in range(50):
        message = {"ephemeralMessage": {"message": message}}
    assert content.read(message).kind == "unknown"


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
def test_kinds_and_their_texts(message: dict[str, Any], kind: str, text: str) -> None:
    read = content.read(message)
    assert (read.kind, read.text, read.is_control) == (kind, text, False)


@pytest.mark.parametrize("key", sorted(content.CONTROL))
def test_signals_are_no_bubbles(key: str) -> None:
    assert content.read({key: {}}).is_control


def test_a_type_without_content_is_told_by_its_name() -> None:
    assert content.read({"mediaUrl": None}, "imageMessage").kind == "image"
    assert content.read({}, "interactiveMessage").kind == "interactive_reply"
    assert content.read(None, "somethingNew").kind == "unknown"


def test_media_fields_have_one_name_whatever_the_channel() -> None:
    baileys = {"imageMessage": {"mimetype": "image/png", "fileLength": {"low": 5, "high": 0}}}
    cloud = {"imageMessage": {"mime_type": "image/png", "id": "M1"}, "mediaUrl": "https://s3/x"}
    assert content.read(baileys).media == {"mimetype": "image/png", "size": 5}
    assert content.read(cloud).media == {"mimetype": "image/png", "id": "M1", "url": "https://s3/x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*content._KINDS, "text", "x"]), inner),  # noqa: SLF001
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_read_as_one_of_the_models_kinds(message: Any) -> None:
    assert content.read(message).kind in Message.Kind.values
