from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelayer.protocol import keys
from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace

CHATS = Namespace("chats", "chat", ttl=60, max_items=10)

# Texts that serve as names and as glob patterns.
texts = st.text(st.sampled_from("ab:*?[]!^\\-@"), max_size=6)


def test_the_key_of_a_list_contains_its_tag_and_no_search_terms() -> None:
    name = keys.list_key(("chats:instance:7", "name", "", 50, ("search", "Ana")))
    assert name.startswith("chats:instance:7:")
    assert "Ana" not in name
    assert len(name) < 50


def test_each_parameter_of_a_list_changes_its_key() -> None:
    parameters: list[tuple[Any, ...]] = [
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
    assert len({keys.list_key(key) for key in parameters}) == len(parameters)
    assert keys.list_key(parameters[0]) == keys.list_key(parameters[0])


@pytest.mark.parametrize(
    ("key", "name"),
    [("chats:digest", "chats:digest"), ("chat:1:x", "chat:1:x"), ("chats", "chats:chats"), ("chat", "chats:chat")],
)
def test_the_key_of_a_value_never_equals_a_namespace_tag(key: str, name: str) -> None:
    assert keys.value_key(CHATS, key) == name == keys.local_key(CHATS, key)


@pytest.mark.parametrize("key", ["x", "x:1", "values:x", "value", ""])
def test_a_value_without_namespace_prefix_is_in_the_default_namespace(key: str) -> None:
    assert keys.value_key(DEFAULT_NAMESPACE, key) == f"values:{key}" == keys.local_key(DEFAULT_NAMESPACE, key)


def test_local_keys_equal_keys_on_the_server() -> None:
    assert keys.local_key(CHATS, 42) == "chat:42"
    assert keys.local_key(CHATS, "a-slug") == "chat:a-slug"
    assert keys.local_key(CHATS, ("chats:7", 1)) == keys.list_key(("chats:7", 1))


@given(texts, texts)
def test_a_key_that_matches_a_glob_begins_with_one_of_its_literal_prefixes(name: str, pattern: str) -> None:
    for key in (name, f"values:{name}"):
        if keys.matches(key, pattern):
            assert any(key.startswith(prefix) for prefix in keys.literal_prefixes(pattern))


@given(texts)
def test_a_key_matches_itself_with_brackets_escaped(name: str) -> None:
    assert keys.matches(name, name.replace("[", "[[]"))
    assert keys.matches(name, "*")


def test_matching_is_case_sensitive() -> None:
    assert not keys.matches("Chats:1", "chats:*")
