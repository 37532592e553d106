"""Answers are stored with the tags of all cached reads that compute them, or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from cachelayer import Answers, Found, cache, limit_ttl
from cachelayer.answers import MAX_KEPT_LENGTH
from cachelayer.protocol.tags import Namespace
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from conversations.models import Contact, Instance
from tests.cachelayer.conftest import out_of_memory
from tests.conversations.rows import a_contact, an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)
NAMESPACE = Namespace("answers", row="answer", ttl=60, max_items=10)
ANSWERS = Answers(NAMESPACE, "code")


def compute(key: str, read: Callable[[], object]) -> bytes | None:
    """Compute an answer and store it, if it is not stored; return the stored content."""
    found = ANSWERS.look_up(key)
    with ANSWERS.collecting(found) as collected:
        content = repr(read()).encode()
    ANSWERS.store(key, content, b"notes", collected)
    return content_of(ANSWERS.look_up(key))


def of_another_process() -> Answers:
    """Return the same answers, of whose contents none has been read."""
    return Answers(NAMESPACE, "code")


def content_of(found: Found) -> bytes | None:
    return found.answer.content if found.answer else None


@pytest.fixture
def row(cache_runtime: CacheRuntime) -> Instance:  # noqa: ARG001 - the fixture empties the cache
    return an_instance(profile_name="old")


def name_of(row: Instance) -> str:
    return Instance.objects.fetch(row.pk).profile_name


def test_an_answer_is_valid_until_one_of_its_rows_changes(row: Instance) -> None:
    other = an_instance()
    assert compute("x", lambda: name_of(row)) == b"'old'"
    other.save()
    assert content_of(ANSWERS.look_up("x")) == b"'old'"
    row.save()
    assert ANSWERS.look_up("x").answer is None


def test_an_answer_that_shows_a_missing_row_is_valid_until_a_row_is_inserted(row: Instance) -> None:
    assert compute("x", lambda: Contact.objects.fetch_many([1, 2, 77])) == b"{}"
    a_contact(row)
    assert ANSWERS.look_up("x").answer is None


def test_a_lookup_returns_the_states_of_other_tags_and_no_content_that_is_known(row: Instance) -> None:
    compute("x", lambda: name_of(row))
    found = ANSWERS.look_up("x", tags=("instances", "instance:0"))
    assert found.answer is not None
    assert [state is None for state in found.states] == [False, True]
    known = ANSWERS.look_up("x", f'"other", "{found.answer.etag}"').answer
    assert known is not None
    assert (known.content, known.notes, known.etag) == (None, b"notes", found.answer.etag)


@pytest.mark.parametrize(
    "read",
    [
        lambda row: Instance.objects.get(pk=row.pk),
        lambda row: Instance.objects.db_manager("default").fetch(row.pk),
        lambda row: Instance.objects.filter(pk=row.pk).count(),
        lambda _: cache.get("instances:nothing"),
    ],
    ids=["get", "a manager without cache", "count", "a value that is not cached"],
)
def test_an_answer_that_depends_on_more_than_cached_reads_is_not_stored(
    row: Instance, read: Callable[[Instance], object]
) -> None:
    assert compute("x", lambda: (name_of(row), read(row))) is None
    assert compute("x", lambda: name_of(row)) is not None


def test_an_answer_that_was_computed_during_a_write_is_not_stored(row: Instance) -> None:
    def read_and_write() -> str:
        name = name_of(row)
        Instance.objects.filter(pk=row.pk).update(profile_name="new")
        return name

    assert compute("x", read_and_write) is None
    get_runtime().store.begin(b"w" * 16, [f"instance:{row.pk}"])
    assert compute("x", lambda: name_of(row)) is None
    get_runtime().store.end(b"w" * 16, [f"instance:{row.pk}"])
    assert compute("x", lambda: name_of(row)) == b"'new'"


def test_an_answer_whose_reads_saw_two_versions_of_a_tag_is_not_stored(row: Instance) -> None:
    def read_twice() -> list[str]:
        names = [name_of(row)]
        cache.touch(f"instance:{row.pk}")
        return [*names, name_of(row)]

    with ANSWERS.collecting(ANSWERS.look_up("x")) as collected:
        read_twice()
    assert not collected.is_complete


def test_a_loader_that_fails_leaves_no_answer(row: Instance) -> None:
    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError), ANSWERS.collecting(ANSWERS.look_up("x")):
        cache.fetch("instances:broken", fail)
    assert compute("x", lambda: name_of(row)) is not None


def test_an_answer_with_too_many_tags_is_not_stored(row: Instance) -> None:
    pks = [*range(2000)]
    assert compute("x", lambda: (name_of(row), Instance.objects.fetch_many(pks))) is None


def test_an_answer_with_many_tags_is_stored(row: Instance) -> None:
    content = compute("x", lambda: (name_of(row), Instance.objects.fetch_many([*range(row.pk + 1, 100)])))
    assert content == b"('old', {})"
    assert content_of(of_another_process().look_up("x")) == content


def test_an_answer_that_depends_on_the_time_expires(row: Instance) -> None:
    def read(seconds: float) -> Callable[[], str]:
        def read_for() -> str:
            limit_ttl(seconds)
            return name_of(row)

        return read_for

    assert compute("x", read(0.5)) is None
    assert compute("x", read(60)) is not None


def test_clearing_the_namespace_removes_all_answers(row: Instance) -> None:
    compute("x", lambda: name_of(row))
    cache.clear_namespace("answers")
    assert ANSWERS.look_up("x").answer is None


def test_clearing_a_pattern_removes_the_answers_that_show_its_rows(row: Instance) -> None:
    compute("x", lambda: name_of(row))
    cache.clear(f"instance:{row.pk}")
    assert ANSWERS.look_up("x").answer is None


# --- the store on a server --------------------------------------------------------------------------------------------
@pytest.fixture
def stored(valkey_server: Valkey) -> tuple[Any, bytes]:
    """Store an answer; return the client and the key of the answer."""
    instance = an_instance(profile_name="old")
    assert compute("x", lambda: name_of(instance)) == b"'old'"
    (key,) = valkey_server.client.scan_iter(match="*:e:answers:x@*")
    return valkey_server.client, key


def replaced(find: bytes, by: bytes) -> Callable[[bytes], bytes]:
    return lambda stored: stored.replace(find, by)


@pytest.mark.parametrize(
    "tamper",
    [
        replaced(b"'old'", b"'bad'"),
        replaced(b"notes", b"NOTES"),
        lambda stored: stored[:40],
        lambda stored: b"\xff" * len(stored),
        lambda stored: b"\0" * len(stored),
        lambda _: b"",
    ],
    ids=["content", "notes", "cut off", "ones", "zeros", "empty"],
)
def test_an_answer_that_somebody_else_has_written_is_not_used(
    stored: tuple[Any, bytes], tamper: Callable[[bytes], bytes]
) -> None:
    client, key = stored
    client.set(key, tamper(client.get(key)))
    assert of_another_process().look_up("x").answer is None
    assert get_runtime().breaker.is_closed


def test_a_content_that_the_process_has_read_is_not_read_again(stored: tuple[Any, bytes]) -> None:
    client, key = stored
    client.set(key, client.get(key).replace(b"'old'", b"'bad'"))
    assert content_of(ANSWERS.look_up("x")) == b"'old'"
    client.set(key, client.get(key).replace(b"notes", b"NOTES"))
    assert ANSWERS.look_up("x").answer is None


@pytest.mark.parametrize("length", [MAX_KEPT_LENGTH, MAX_KEPT_LENGTH + 1])
def test_each_process_reads_what_was_stored_last(row: Instance, length: int) -> None:
    processes = [of_another_process(), of_another_process()]
    for name in ("a", "b", "a"):
        Instance.objects.filter(pk=row.pk).update(profile_name=name)
        content = compute("x", lambda: name_of(row).rjust(length - 2))
        assert content is not None
        assert len(content) == length
        for process in processes * 2:
            assert content_of(process.look_up("x")) == content


def test_an_answer_under_the_name_of_another_is_not_used(stored: tuple[Any, bytes]) -> None:
    client, key = stored
    client.set(key.replace(b":x@", b":y@"), client.get(key))
    assert ANSWERS.look_up("y").answer is None


def test_a_full_store_and_an_emptied_store_have_no_answers(stored: tuple[Any, bytes], valkey_server: Valkey) -> None:
    client, _ = stored
    instance = an_instance(profile_name="other")
    with out_of_memory(valkey_server):
        assert compute("y", lambda: name_of(instance)) is None
    client.flushall()
    assert ANSWERS.look_up("x").answer is None
