"""Digests are those of the bytes, whatever was hashed before under the same name, and take a bounded memory."""

import tracemalloc
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachelayer.protocol import digests
from cachelayer.protocol.digests import Digests

data = st.binary(max_size=3)


@given(st.lists(st.tuples(st.sampled_from("ab"), data, st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_a_digest_is_that_of_the_bytes(calls: list[tuple[str, bytes, int, int]]) -> None:
    computed = Digests()
    for name, content, start, end in calls:
        assert computed.digest(name, content, start, end) == sha256(content[start:end]).digest()


@pytest.mark.parametrize("length", [digests.MAX_LENGTH, digests.MAX_LENGTH + 1])
def test_the_memory_is_bounded(length: int) -> None:
    computed = Digests()
    tracemalloc.start()
    try:
        for number in range(2 * digests.MAX_MEMO_BYTES // digests.MAX_LENGTH):
            computed.digest(str(number), bytes(length), 0, length)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1.1 * digests.MAX_MEMO_BYTES
    assert (kept > digests.MAX_LENGTH) == (length <= digests.MAX_LENGTH)
