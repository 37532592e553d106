from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelayer.protocol import keys as names
from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace
from cachelayer.runtime.local_cache import LocalNamespace

CHATS = Namespace("chats", "chat", ttl=60, max_items=10)
TIER, TIER_OF_VALUES = LocalNamespace(CHATS), LocalNamespace(DEFAULT_NAMESPACE)

# What globs are made of, and names.
words = st.text(st.sampled_from("ab:*?[]!^\\-@"), max_size=6)


def test_a_list_is_named_by_its_tag_and_nothing_of_what_was_searched_for() -> None:
    name = names.list_key(("chats:instance:7", "name", "", 50, ("search", "Ana")))
    assert name.startswith("chats:instance:7:")
    assert "Ana" not in name
    assert len(name) < 50


def test_every_part_of_a_list_makes_another_name() -> None:
    keys: list[tuple[Any, ...]] = [
        ("chats:7", "name", "", 50, ("search", "")),
        ("chats:7", "name", "", 50, ("search", "None")),
        ("chats:7", "name", "", 50, ("search", None)),
        ("chats:7", "name", "", 50, ("kind", "")),
        ("chats:7", "name", "", 51, ("search", "")),
        ("chats:7", "name", "x", 50, ("search", "")),
        ("chats:7", "-name", "", 50, ("search", "")),
        ("chats:7", "", "name", 50, ("search", "")),
        ("chats:8", "name", "", 50, ("search", "")),
    ]
    assert len({names.list_key(key) for key in keys}) == len(keys)
    assert names.list_key(keys[0]) == names.list_key(keys[0])


@pytest.mark.parametrize(
    ("key", "name"),
    [("chats:digest", "chats:digest"), ("chat:1:x", "chat:1:x"), ("chats", "chats:chats"), ("chat", "chats:chat")],
)
def test_a_value_is_never_named_as_its_namespace(key: str, name: str) -> None:
    assert names.value_key(CHATS, key) == name == names.local_key(CHATS, key)


@pytest.mark.parametrize("key", ["x", "x:1", "values:x", "value", ""])
def test_a_value_of_no_namespace_is_among_the_values(key: str) -> None:
    assert names.value_key(DEFAULT_NAMESPACE, key) == f"values:{key}" == names.local_key(DEFAULT_NAMESPACE, key)


def test_what_is_in_the_local_tier_is_named_as_on_the_server() -> None:
    assert names.local_key(CHATS, 42) == "chat:42"
    assert names.local_key(CHATS, "a-slug") == "chat:a-slug"
    assert names.local_key(CHATS, ("chats:7", 1)) == names.list_key(("chats:7", 1))


@given(words, words)
def test_a_name_begins_with_what_its_pattern_says(name: str, pattern: str) -> None:
    for one in (name, f"values:{name}"):
        if names.matches(one, pattern):
            assert any(one.startswith(beginning) for beginning in names.literal_prefixes(pattern))


@given(words)
def test_a_name_matches_itself_where_nothing_in_it_is_a_sign(name: str) -> None:
    assert names.matches(name, name.replace("[", "[[]"))
    assert names.matches(name, "*")


def test_case_counts() -> None:
    assert not names.matches("Chats:1", "chats:*")
