"""Properties of packing, unpacking and validating cache entries, tested without any store."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cachelayer.protocol.codec import DecodeError
from cachelayer.protocol.entries import (
    HEADER_SIZE,
    INTENT_PREFIX,
    VERSION_SIZE,
    EntryKey,
    Kind,
    LookupStatus,
    join_versions,
    pack,
    unpack,
    validate,
)
from cachelayer.stores.base import QUARANTINE, token

State = bytes | None

# There are only three versions, so that tags often share a version, as tags that were touched together do.
versions = st.sampled_from([b"%016x" % number for number in range(3)])
intents = st.sampled_from(
    [INTENT_PREFIX + b"a:1", INTENT_PREFIX + token() + b":17", INTENT_PREFIX + QUARANTINE, INTENT_PREFIX + b"x" * 15]
)
states = st.one_of(st.none(), versions, versions, intents)


@st.composite
def entry_keys(draw: st.DrawFn) -> EntryKey:
    own = [f"thing:{number}" for number in range(draw(st.integers(1, 3)))]
    namespaces = ["things", "others"][: draw(st.integers(1, 2))]
    insert_tag = draw(st.sampled_from(["", "things:new"]))
    return EntryKey("thing:0", (*own, *namespaces, "*"), insert_tag)


def draw_states(entry_key: EntryKey, data: st.DataObject, state: st.SearchStrategy[State]) -> list[State]:
    """Draw a random state for each tag of a cache entry."""
    count = len(entry_key.all_tags)
    return data.draw(st.lists(state, min_size=count, max_size=count))


def needed_states(entry_key: EntryKey, states: Sequence[State], kind: Kind) -> Sequence[State]:
    return states if kind is Kind.NEGATIVE else states[: len(entry_key.tags)]


def kinds(entry_key: EntryKey) -> st.SearchStrategy[Kind]:
    return st.sampled_from(list(Kind) if entry_key.insert_tag else [Kind.PRESENT])


@given(entry_keys(), st.data(), st.binary(max_size=20), st.integers(0, 2**32 - 1))
def test_an_entry_is_a_hit_while_no_state_changes_and_unpacks_to_what_was_packed(
    entry_key: EntryKey, data: st.DataObject, payload: bytes, expires_at: int
) -> None:
    kind = data.draw(kinds(entry_key))
    before = draw_states(entry_key, data, versions)
    version_bytes = join_versions(entry_key, before, kind)
    assert version_bytes is not None
    entry = pack(entry_key, kind, expires_at, payload) + version_bytes
    assert validate(entry_key, entry, before) is LookupStatus.HIT
    assert unpack(entry) == (kind, expires_at, payload)


@given(entry_keys(), st.data(), st.binary(max_size=20))
def test_an_entry_is_a_hit_only_if_every_tag_that_it_depends_on_has_the_same_version(
    entry_key: EntryKey, data: st.DataObject, payload: bytes
) -> None:
    kind = data.draw(kinds(entry_key))
    before, after = draw_states(entry_key, data, versions), draw_states(entry_key, data, states)
    version_bytes = join_versions(entry_key, before, kind)
    assert version_bytes is not None
    is_hit = validate(entry_key, pack(entry_key, kind, 1, payload) + version_bytes, after) is LookupStatus.HIT
    assert is_hit == (needed_states(entry_key, before, kind) == needed_states(entry_key, after, kind))


@given(entry_keys(), st.data())
def test_only_versions_are_written_into_an_entry(entry_key: EntryKey, data: st.DataObject) -> None:
    kind = data.draw(kinds(entry_key))
    before = draw_states(entry_key, data, states)
    version_bytes = join_versions(entry_key, before, kind)
    are_versions = all(
        state and not state.startswith(INTENT_PREFIX) for state in needed_states(entry_key, before, kind)
    )
    assert (version_bytes is not None) == are_versions
    assert version_bytes is None or len(version_bytes) == VERSION_SIZE * len(needed_states(entry_key, before, kind))


@given(entry_keys(), st.data())
def test_no_versions_are_joined_if_states_are_missing(entry_key: EntryKey, data: st.DataObject) -> None:
    before = draw_states(entry_key, data, versions)
    for count in range(len(entry_key.tags)):
        assert join_versions(entry_key, before[:count], Kind.PRESENT) is None


@given(entry_keys(), st.data(), st.none() | st.binary(max_size=100))
def test_without_a_hit_a_write_in_flight_makes_a_bypass(
    entry_key: EntryKey, data: st.DataObject, entry: bytes | None
) -> None:
    after = draw_states(entry_key, data, states)
    status = validate(entry_key, entry, after)
    assume(status is not LookupStatus.HIT)
    has_intent = any(state and state.startswith(INTENT_PREFIX) for state in after[: len(entry_key.tags)])
    assert status is (LookupStatus.BYPASS if has_intent else LookupStatus.MISS)


@given(entry_keys(), st.data(), st.binary(max_size=150))
def test_any_bytes_can_be_validated_and_unpacked(entry_key: EntryKey, data: st.DataObject, entry: bytes) -> None:
    after = draw_states(entry_key, data, states)
    if data.draw(st.booleans()):
        entry = (
            entry[:1].ljust(1, b"+")
            + len(entry_key.tags).to_bytes(2)
            + entry[3:].ljust(HEADER_SIZE - 3)
            + b"".join(state or b"" for state in after)
        )
    if validate(entry_key, entry, after) is LookupStatus.HIT:
        if entry[:1] in (b"+", b"-"):
            unpack(entry)
        else:
            with pytest.raises(DecodeError):
                unpack(entry)


def test_a_negative_entry_depends_on_the_insert_tag_and_a_row_does_not() -> None:
    entry_key = EntryKey("thing:1", ("thing:1", "things", "*"), "things:new")
    before = [b"a" * 16, b"b" * 16, b"c" * 16, b"d" * 16]
    after = [*before[:3], INTENT_PREFIX + b"x:1"]
    entries = {kind: pack(entry_key, kind, 1, b"") + (join_versions(entry_key, before, kind) or b"") for kind in Kind}
    assert validate(entry_key, entries[Kind.PRESENT], after) is LookupStatus.HIT
    assert validate(entry_key, entries[Kind.NEGATIVE], after) is LookupStatus.MISS
    assert join_versions(entry_key, after, Kind.PRESENT) is not None
    assert join_versions(entry_key, after, Kind.NEGATIVE) is None


def test_a_new_version_never_looks_like_an_intent() -> None:
    tokens = [token() for _ in range(1000)]
    assert len(set(tokens)) == 1000
    assert all(len(version) == VERSION_SIZE and not version.startswith(INTENT_PREFIX) for version in tokens)
