"""Members of details have the type that the schema promises, whatever a sender put in them, and nothing is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # the type stubs of jsonschema are a separate package

from conversations.api.message_details import ANY_KIND, BY_KIND, OTHER, details_schema, shown_details
from conversations.models import Message

NAMES = sorted({*ANY_KIND, OTHER, "unknown", *(name for members in BY_KIND.values() for name in members)})
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=2)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(NAMES), SCALARS, max_size=2)


def test_the_kinds_exist() -> None:
    assert set(BY_KIND) <= set(Message.Kind.values)


def test_a_name_has_one_type_in_all_kinds() -> None:
    types: dict[str, Any] = dict(ANY_KIND)
    for members in BY_KIND.values():
        for name, schema in members.items():
            assert types.setdefault(name, schema) == schema, name


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ({"item_count": 2, "a": []}, {"item_count": 2, "a": []}),
        ({"item_count": "2", "a": []}, {"a": [], "other": {"item_count": "2"}}),
        ({"item_count": True}, {"other": {"item_count": True}}),
        ({"sections": [{}, 1], "footer": "a"}, {"footer": "a", "other": {"sections": [{}, 1]}}),
        ({"other": 1}, {"other": {"other": 1}}),
        ({}, {}),
    ],
)
def test_members_of_another_type_are_moved(details: Any, shown: Any) -> None:
    assert shown_details(details) == shown


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_details_match_the_schema_and_keep_every_value(details: dict[str, Any]) -> None:
    shown = shown_details(details)
    Draft202012Validator(details_schema()).validate(shown)
    moved = shown.get(OTHER, {})
    assert {**{name: value for name, value in shown.items() if name != OTHER}, **moved} == details
