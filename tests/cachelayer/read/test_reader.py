"""Reads of malformed cache entries, and of values that cannot be cached."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cachelayer import cache
from cachelayer.protocol.codec import encode
from cachelayer.protocol.entries import HEADER_SIZE, VERSION_SIZE
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Instance
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db(transaction=True)

VERSIONS_SIZE = 3 * VERSION_SIZE  # bytes at the end of the cache entry of a row


def only_entry(cache_runtime: CacheRuntime) -> tuple[str, bytes]:
    (name,) = cache_runtime.store.entry_names("instance:*")
    ((entry,), _) = cache_runtime.store.read([name], [])
    assert entry is not None
    return name, entry


def is_no_row(values: list[Any]) -> bool:
    return len(values) != len(Instance._meta.concrete_fields)  # noqa: SLF001 - Django documents the attribute _meta


@given(
    st.binary(max_size=30)
    | st.lists(st.none() | st.integers() | st.text(), max_size=30).filter(is_no_row).map(encode)
    | st.integers(0, 400).map(lambda depth: b"\x91" * depth + b"\xc0")
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entry_with_a_malformed_payload_is_a_miss(cache_runtime: CacheRuntime, payload: bytes) -> None:
    row = Instance.objects.first() or an_instance()
    Instance.objects.fetch(row.pk)
    name, entry = only_entry(cache_runtime)
    cache_runtime.store.fill([(name, entry[:HEADER_SIZE] + payload + entry[-VERSIONS_SIZE:], 60_000)], "")
    assert Instance.objects.fetch(row.pk, fresh=True) == row
    assert only_entry(cache_runtime)[1][HEADER_SIZE:] == entry[HEADER_SIZE:]


@pytest.mark.parametrize("kind", [b"?", b"\0", b"-"])
def test_an_entry_of_unknown_kind_is_a_miss(cache_runtime: CacheRuntime, kind: bytes) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)
    name, entry = only_entry(cache_runtime)
    cache_runtime.store.fill([(name, kind + entry[1:], 60_000)], "")
    assert Instance.objects.fetch(row.pk, fresh=True) == row


def is_lease_free(cache_runtime: CacheRuntime, lease: str) -> bool:
    return cache_runtime.store.claim_versions([], lease, 1)[1]


def test_a_value_that_cannot_be_cached_is_returned_and_the_lease_is_released(cache_runtime: CacheRuntime) -> None:
    deepest: list[object] = []
    for _ in range(1024):  # msgpack can encode 1024 nested lists, but not decode them
        deepest = [deepest]
    for value in (object(), deepest):
        assert cache.fetch("x", lambda value=value: value) is value  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        assert cache.get("x") is None
        assert is_lease_free(cache_runtime, "values:x")


def test_a_negative_entry_that_cannot_be_stored_releases_the_lease(cache_runtime: CacheRuntime) -> None:
    cache_runtime.store.begin(b"another-write---", ["instances:new"])
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(77)
    assert is_lease_free(cache_runtime, "instance:77")
