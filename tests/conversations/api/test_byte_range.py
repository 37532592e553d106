"""A header `Range` selects one part, the whole content, or nothing that exists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.api.byte_range import ByteRange, UnsatisfiableRange, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-", (0, 9)),
        ("bytes=3-5", (3, 5)),
        ("bytes=3-500", (3, 9)),
        ("bytes=-4", (6, 9)),
        ("bytes=-400", (0, 9)),
        ("BYTES=9-", (9, 9)),
    ],
)
def test_one_range(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, 10) == ByteRange(*expected)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-3",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=a-b",
        "bytes=٣-",
        f"bytes=0-{10**30}",
        f"bytes={10**30}-",
    ],
)
def test_another_form_is_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, size)


@given(st.text(alphabet="0123456789-=,bytes ", max_size=20), st.integers(0, 30))
def test_a_part_is_never_empty_and_always_inside(text: str, size: int) -> None:
    try:
        part = parse_range(f"bytes={text}", size)
    except UnsatisfiableRange:
        return
    assert part is None or (0 <= part.first <= part.last < size and part.length >= 1)
