"""Bytes are decoded from base64 without padding and with spaces, and from objects by index, in little memory."""

import base64
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.byte_forms import decode


def test_base64_with_many_spaces_takes_little_memory() -> None:
    encoded = "QUJD " * 100_000
    tracemalloc.start()
    try:
        assert decode(encoded) == b"ABC" * 100_000
        assert tracemalloc.get_traced_memory()[1] < 4 * len(encoded)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("index", ["1" * 5000, "0" * 10 + "1", "\u0661", "²", "-1", "1.0", ""])
def test_an_object_with_other_names_than_indexes_is_no_buffer(index: str) -> None:
    assert decode({index: 1, "2": 3}) == b""


@given(st.binary(min_size=1, max_size=40), st.booleans())
def test_missing_padding_is_added(content: bytes, is_url_safe: bool) -> None:  # noqa: FBT001 - a parameter of the test
    encode = base64.urlsafe_b64encode if is_url_safe else base64.b64encode
    assert decode(encode(content).decode().rstrip("=")) == content
