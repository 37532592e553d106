"""Labels become latest-state values of the instance; labels of a chat become latest-state values of a conversation."""

from typing import Any

import pytest

from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.facts import ConversationState, InstanceState
from conversations.evolution.labels import parse_association, parse_label
from tests.conversations.evolution.envelopes import LIVE, PHONE, address, envelope


def test_an_edited_label_is_a_value_of_the_instance() -> None:
    raw = {"id": "7", "name": "Orçamento", "color": "4", "deleted": False}
    value = {"name": "Orçamento", "color": 4, "deleted": False}
    assert list(parse_label(raw, envelope())) == [InstanceState({"label:7": value}, LIVE)]


def test_a_long_name_of_a_label_is_cut() -> None:
    (fact,) = parse_label({"id": "7", "name": 300 * "\N{GRINNING FACE}"}, envelope())
    assert isinstance(fact, InstanceState)
    assert fact.values["label:7"]["name"] == 100 * "\N{GRINNING FACE}"


@pytest.mark.parametrize(("action", "has_label"), [("add", True), ("remove", False)])
def test_an_association_adds_or_removes_a_label(action: str, has_label: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    raw = {"chatId": PHONE, "labelId": "7", "type": action}
    assert list(parse_association(raw, envelope())) == [ConversationState(address(PHONE), {"label:7": has_label}, LIVE)]


def test_a_label_without_an_id_is_an_unknown_shape() -> None:
    with pytest.raises(UnknownShapeError):
        list(parse_label({"name": "x"}, envelope()))


@pytest.mark.parametrize(
    "raw",
    [
        {"labelId": "7", "type": "add"},
        {"chatId": PHONE, "type": "add"},
        {"chatId": PHONE, "labelId": "7", "type": "toggle"},
    ],
)
def test_an_incomplete_association_is_an_unknown_shape(raw: dict[str, Any]) -> None:
    with pytest.raises(UnknownShapeError):
        list(parse_association(raw, envelope()))
