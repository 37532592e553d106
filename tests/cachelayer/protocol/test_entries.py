"""What a reader makes of an entry and the states of its tags: properties, without any store."""

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
    pack,
    unpack,
    validate,
    version_prefix,
)
from cachelayer.stores.base import QUARANTINE, token

State = bytes | None

# Few of them, so that tags share a version, as those that were touched in one step do.
known = st.sampled_from([b"%016x" % number for number in range(3)])
intents = st.sampled_from(
    [INTENT_PREFIX + b"a:1", INTENT_PREFIX + token() + b":17", INTENT_PREFIX + QUARANTINE, INTENT_PREFIX + b"x" * 15]
)
states = st.one_of(st.none(), known, known, intents)


@st.composite
def entries_wanted(draw: st.DrawFn) -> EntryKey:
    own = [f"thing:{number}" for number in range(draw(st.integers(1, 3)))]
    namespaces = ["things", "others"][: draw(st.integers(1, 2))]
    births = draw(st.sampled_from(["", "things:new"]))
    return EntryKey("thing:0", (*own, *namespaces, "*"), births)


def of_all_tags(wanted: EntryKey, draw: st.DataObject, of: st.SearchStrategy[State]) -> list[State]:
    number = len(wanted.all_tags)
    return draw.draw(st.lists(of, min_size=number, max_size=number))


def needed(wanted: EntryKey, states: Sequence[State], kind: Kind) -> Sequence[State]:
    return states if kind is Kind.NEGATIVE else states[: len(wanted.tags)]


def kinds_of(wanted: EntryKey) -> st.SearchStrategy[Kind]:
    return st.sampled_from(list(Kind) if wanted.insert_tag else [Kind.PRESENT])


@given(entries_wanted(), st.data(), st.binary(max_size=20), st.integers(0, 2**32 - 1))
def test_an_entry_is_a_hit_while_nothing_has_changed_and_says_what_was_written(
    wanted: EntryKey, draw: st.DataObject, payload: bytes, ends: int
) -> None:
    kind = draw.draw(kinds_of(wanted))
    then = of_all_tags(wanted, draw, known)
    seen = version_prefix(wanted, then, kind)
    assert seen is not None
    entry = pack(kind, ends, seen, payload)
    assert validate(wanted, entry, then) is LookupStatus.HIT
    assert unpack(wanted, entry) == (kind, ends, payload)


@given(entries_wanted(), st.data(), st.binary(max_size=20))
def test_an_entry_is_a_hit_only_if_every_tag_it_depends_on_has_the_same_version(
    wanted: EntryKey, draw: st.DataObject, payload: bytes
) -> None:
    kind = draw.draw(kinds_of(wanted))
    then, now = of_all_tags(wanted, draw, known), of_all_tags(wanted, draw, states)
    seen = version_prefix(wanted, then, kind)
    assert seen is not None
    is_hit = validate(wanted, pack(kind, 1, seen, payload), now) is LookupStatus.HIT
    assert is_hit == (needed(wanted, then, kind) == needed(wanted, now, kind))


@given(entries_wanted(), st.data())
def test_only_versions_are_written_into_an_entry(wanted: EntryKey, draw: st.DataObject) -> None:
    kind = draw.draw(kinds_of(wanted))
    then = of_all_tags(wanted, draw, states)
    seen = version_prefix(wanted, then, kind)
    are_versions = all(state and not state.startswith(INTENT_PREFIX) for state in needed(wanted, then, kind))
    assert (seen is not None) == are_versions
    assert seen is None or len(seen) == VERSION_SIZE * len(needed(wanted, then, kind))


@given(entries_wanted(), st.data())
def test_states_that_were_never_read_are_no_versions(wanted: EntryKey, draw: st.DataObject) -> None:
    then = of_all_tags(wanted, draw, known)
    for fewer in range(len(wanted.tags)):
        assert version_prefix(wanted, then[:fewer], Kind.PRESENT) is None


@given(entries_wanted(), st.data(), st.none() | st.binary(max_size=100))
def test_what_is_no_hit_is_bypassed_while_a_write_is_in_flight(
    wanted: EntryKey, draw: st.DataObject, entry: bytes | None
) -> None:
    now = of_all_tags(wanted, draw, states)
    verdict = validate(wanted, entry, now)
    assume(verdict is not LookupStatus.HIT)
    is_held = any(state and state.startswith(INTENT_PREFIX) for state in now[: len(wanted.tags)])
    assert verdict is (LookupStatus.BYPASS if is_held else LookupStatus.MISS)


@given(entries_wanted(), st.data(), st.binary(max_size=150))
def test_any_bytes_can_be_judged_and_opened(wanted: EntryKey, draw: st.DataObject, entry: bytes) -> None:
    now = of_all_tags(wanted, draw, states)
    if draw.draw(st.booleans()):
        entry = (
            entry[:HEADER_SIZE].ljust(HEADER_SIZE, b"+") + b"".join(state or b"" for state in now) + entry[HEADER_SIZE:]
        )
    if validate(wanted, entry, now) is LookupStatus.HIT:
        if entry[:1] in (b"+", b"-"):
            unpack(wanted, entry)
        else:
            with pytest.raises(DecodeError):
                unpack(wanted, entry)


def test_an_absence_depends_on_births_and_a_row_does_not() -> None:
    wanted = EntryKey("thing:1", ("thing:1", "things", "*"), "things:new")
    then = [b"a" * 16, b"b" * 16, b"c" * 16, b"d" * 16]
    after = [*then[:3], INTENT_PREFIX + b"x:1"]
    entries = {kind: pack(kind, 1, version_prefix(wanted, then, kind) or b"", b"") for kind in Kind}
    assert validate(wanted, entries[Kind.PRESENT], after) is LookupStatus.HIT
    assert validate(wanted, entries[Kind.NEGATIVE], after) is LookupStatus.MISS
    assert version_prefix(wanted, after, Kind.PRESENT) is not None
    assert version_prefix(wanted, after, Kind.NEGATIVE) is None


def test_a_version_is_never_taken_for_an_intent() -> None:
    made = [token() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(len(one) == VERSION_SIZE and not one.startswith(INTENT_PREFIX) for one in made)
