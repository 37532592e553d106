"""Only an entry that was sealed for a name, with one of the keys, can be opened under that name."""

from hashlib import blake2b, sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cachelayer.protocol.entries import VERSION_SIZE, EntryKey, Kind, pack
from cachelayer.protocol.seal import MAX_SHORT, SEAL_SIZE, Seal

OLD, NEW = b"o" * 32, b"n" * 32
names = st.text("ab:@1é", max_size=6)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a short body, or one of which only the digest is sealed."""
    tags = tuple(f"thing:{number}" for number in range(draw(st.integers(0, 3))))
    payload = draw(st.binary(max_size=40)) * draw(st.sampled_from([1, MAX_SHORT // 10]))
    return pack(EntryKey("", tags), draw(st.sampled_from(Kind)), draw(st.integers(0, 9)), payload)


def with_versions(body: bytes) -> bytes:
    return body + b"v" * VERSION_SIZE * body[2]


@given(names, bodies())
def test_a_sealed_entry_can_be_opened_under_its_name(name: str, body: bytes) -> None:
    entry = with_versions(body)
    assert Seal([NEW]).open(name, Seal([NEW]).seal(name, entry)) == entry


@given(names, bodies())
def test_the_versions_may_be_appended_after_sealing(name: str, body: bytes) -> None:
    seal = Seal([NEW])
    sealed = seal.seal(name, with_versions(body))
    assert sealed == seal.seal_body(name, body) + with_versions(body)[len(body) :]


@given(names, names, bodies())
def test_an_entry_cannot_be_opened_under_another_name(name: str, other: str, body: bytes) -> None:
    assume(name != other)
    seal = Seal([NEW])
    sealed = seal.seal(name, with_versions(body))
    assert seal.open(name, sealed) is not None
    assert seal.open(other, sealed) is None


@given(names, bodies(), st.data())
def test_a_changed_entry_cannot_be_opened(name: str, body: bytes, data: st.DataObject) -> None:
    seal, entry = Seal([NEW]), with_versions(body)
    sealed = seal.seal(name, entry)
    assert seal.open(name, sealed) == entry
    changed = bytearray(sealed)
    changed[data.draw(st.integers(0, SEAL_SIZE + len(body) - 1))] ^= data.draw(st.integers(1, 255))
    assert seal.open(name, bytes(changed)) is None
    assert seal.open(name, sealed) == entry


@given(names, bodies(), st.binary(min_size=1, max_size=40))
def test_bytes_cannot_be_moved_between_body_and_versions(name: str, body: bytes, more: bytes) -> None:
    seal = Seal([NEW])
    sealed = seal.seal(name, with_versions(body))
    assert seal.open(name, sealed) is not None
    assert seal.open(name, sealed + more) is None


@given(names, st.binary(max_size=100))
def test_arbitrary_bytes_cannot_be_opened(name: str, sealed: bytes) -> None:
    assert Seal([NEW]).open(name, sealed) is None


@given(names, bodies())
def test_a_former_key_opens_entries_but_does_not_seal_them(name: str, body: bytes) -> None:
    entry = with_versions(body)
    both = Seal([NEW, OLD])
    assert both.open(name, Seal([OLD]).seal(name, entry)) == entry
    assert both.seal(name, entry) == Seal([NEW]).seal(name, entry)
    assert Seal([OLD]).open(name, both.seal(name, entry)) is None


@pytest.mark.parametrize("length", [10, MAX_SHORT])
def test_an_entry_that_a_former_release_sealed_is_missing(length: int) -> None:
    body = pack(EntryKey("", ()), Kind.PRESENT, 1, b"x" * length)
    for text in (b"5:name1" + body, b"5#name1" + sha256(body).digest()):
        seal = blake2b(text, key=NEW, digest_size=SEAL_SIZE).digest()
        assert Seal([NEW]).open("name1", seal + body) is None


def test_the_seal_of_a_long_body_is_not_that_of_its_digest() -> None:
    """Whoever can have values of their choice cached must not get the seal of another entry."""
    body = pack(EntryKey("", ()), Kind.PRESENT, 1, b"x" * MAX_SHORT)
    seal = Seal([NEW])
    assert seal.seal_body("name", body)[:SEAL_SIZE] != seal.seal_body("name", sha256(body).digest())[:SEAL_SIZE]
