import pytest

from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace, Namespaces, UnknownNamespace

CHATS = Namespace("chats", "chat", ttl=60, max_items=10)
DIGESTS = Namespace("digests", "", ttl=60, max_items=10)


@pytest.fixture
def namespaces() -> Namespaces:
    return Namespaces([CHATS, DIGESTS])


@pytest.mark.parametrize("tag", ["chats", "chat:42", "chats:7", "chats:instance:7", "chats:new", "chat", "chats:"])
def test_the_prefix_of_a_tag_names_its_namespace(namespaces: Namespaces, tag: str) -> None:
    assert namespaces.for_tag(tag) is CHATS


@pytest.mark.parametrize("tag", ["", ":", "chatter:1", "CHAT:1", "cha", "chats.x", "*", " chats"])
def test_an_unknown_prefix_is_an_error_that_lists_the_known_ones(namespaces: Namespaces, tag: str) -> None:
    with pytest.raises(UnknownNamespace, match="'chat', 'chats', 'digests', 'value', 'values'"):
        namespaces.for_tag(tag)


def test_a_key_without_namespace_prefix_is_in_the_default_namespace(namespaces: Namespaces) -> None:
    assert namespaces.for_key("chats:digest:7") is CHATS
    assert namespaces.for_key("digests:7") is DIGESTS
    for key in ("", "chatter:1", "anything", ":", "values:1"):
        assert namespaces.for_key(key) is DEFAULT_NAMESPACE


def test_two_namespaces_cannot_share_a_prefix(namespaces: Namespaces) -> None:
    for row, name in (("chat", "talks"), ("talk", "chats"), ("chats", "talks"), ("value", "talks")):
        with pytest.raises(ValueError, match="two namespaces"):
            namespaces.add(Namespace(name, row, ttl=1, max_items=1))
    namespaces.add(CHATS)  # adding the same namespace again is allowed


def test_iteration_yields_each_namespace_once(namespaces: Namespaces) -> None:
    assert list(namespaces) == [DEFAULT_NAMESPACE, CHATS, DIGESTS]


def test_expand_adds_namespaces_and_the_global_tag(namespaces: Namespaces) -> None:
    assert namespaces.expand(["chat:1"]) == ("chat:1", "chats", "*")
    assert namespaces.expand(["chat:1", "chats:7", "chat:1", "digests:x"]) == (
        "chat:1", "chats:7", "digests:x", "chats", "digests", "*",
    )  # fmt: skip


def test_expand_removes_duplicates(namespaces: Namespaces) -> None:
    assert namespaces.expand(["chat:1", "chats", "*"]) == ("chat:1", "chats", "*")
    assert namespaces.expand(["*", "chats", "chat:1"]) == ("chat:1", "chats", "*")


def test_row_tags_and_insert_tags() -> None:
    assert (CHATS.row_tag(42), CHATS.insert_tag) == ("chat:42", "chats:new")
