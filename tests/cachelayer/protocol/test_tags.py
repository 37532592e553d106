import pytest

from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace, Namespaces, UnknownNamespace

CHATS = Namespace("chats", "chat", ttl=60, max_items=10)
DIGESTS = Namespace("digests", "", ttl=60, max_items=10)


@pytest.fixture
def namespaces() -> Namespaces:
    return Namespaces([CHATS, DIGESTS])


@pytest.mark.parametrize("tag", ["chats", "chat:42", "chats:7", "chats:instance:7", "chats:new", "chat", "chats:"])
def test_the_first_word_of_a_tag_says_its_namespace(namespaces: Namespaces, tag: str) -> None:
    assert namespaces.for_tag(tag) is CHATS


@pytest.mark.parametrize("tag", ["", ":", "chatter:1", "CHAT:1", "cha", "chats.x", "*", " chats"])
def test_a_tag_of_no_namespace_is_an_error_that_names_those_there_are(namespaces: Namespaces, tag: str) -> None:
    with pytest.raises(UnknownNamespace, match="'chat', 'chats', 'digests', 'value', 'values'"):
        namespaces.for_tag(tag)


def test_a_key_of_no_namespace_is_among_the_values(namespaces: Namespaces) -> None:
    assert namespaces.for_key("chats:digest:7") is CHATS
    assert namespaces.for_key("digests:7") is DIGESTS
    for key in ("", "chatter:1", "anything", ":", "values:1"):
        assert namespaces.for_key(key) is DEFAULT_NAMESPACE


def test_no_two_namespaces_share_a_word(namespaces: Namespaces) -> None:
    for row, name in (("chat", "talks"), ("talk", "chats"), ("chats", "talks"), ("value", "talks")):
        with pytest.raises(ValueError, match="two namespaces"):
            namespaces.add(Namespace(name, row, ttl=1, max_items=1))
    namespaces.add(CHATS)  # again, and the same


def test_each_is_there_once_whatever_words_it_has(namespaces: Namespaces) -> None:
    assert list(namespaces) == [DEFAULT_NAMESPACE, CHATS, DIGESTS]


def test_tags_come_with_what_stands_for_them(namespaces: Namespaces) -> None:
    assert namespaces.expand(["chat:1"]) == ("chat:1", "chats", "*")
    assert namespaces.expand(["chat:1", "chats:7", "chat:1", "digests:x"]) == (
        "chat:1", "chats:7", "digests:x", "chats", "digests", "*",
    )  # fmt: skip


def test_no_tag_comes_twice(namespaces: Namespaces) -> None:
    assert namespaces.expand(["chat:1", "chats", "*"]) == ("chat:1", "chats", "*")
    assert namespaces.expand(["*", "chats", "chat:1"]) == ("chat:1", "chats", "*")


def test_the_tags_of_rows_and_births() -> None:
    assert (CHATS.row_tag(42), CHATS.insert_tag) == ("chat:42", "chats:new")
