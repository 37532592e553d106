"""Replies are parsed as redis-py parses them, however they arrive in parts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions

from cachelayer.stores.replies import Incomplete, MisplacedReply, parse, read_replies


def encode(reply: Any) -> bytes:
    """Encode a reply as a server does."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case list():
            return b"*%d\r\n%b" % (len(reply), b"".join(map(encode, reply)))
    raise TypeError(reply)


scalars = st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20) | st.sampled_from([b"\r\n", b"$-1\r\n"])
replies = st.recursive(scalars, lambda items: st.lists(items, max_size=4), max_leaves=8)


@given(st.lists(replies, max_size=4))
def test_replies_are_parsed(expected: list[Any]) -> None:
    data = b"".join(map(encode, expected))
    assert parse(data, len(expected)) == (expected, len(data))


@given(st.lists(replies, min_size=1, max_size=4), st.data())
def test_a_part_of_the_replies_is_incomplete(expected: list[Any], data: st.DataObject) -> None:
    encoded = b"".join(map(encode, expected))
    with pytest.raises(Incomplete):
        parse(encoded[: data.draw(st.integers(0, len(encoded) - 1))], len(expected))


class Parts:
    """A connection from which each call of `recv` returns the next part of some bytes."""

    def __init__(self, data: bytes, lengths: list[int]) -> None:
        self._data = data
        self._lengths = lengths
        self._sock = self

    def recv(self, _size: int) -> bytes:
        length = self._lengths.pop() if self._lengths else len(self._data)
        part, self._data = self._data[:length], self._data[length:]
        return part


@given(st.lists(replies, min_size=1, max_size=4), st.lists(st.integers(1, 5)))
def test_replies_arrive_in_any_parts(expected: list[Any], lengths: list[int]) -> None:
    assert read_replies(Parts(b"".join(map(encode, expected)), lengths), len(expected)) == expected


@given(st.lists(replies, min_size=1, max_size=4), replies)
def test_a_reply_too_many_is_noticed(expected: list[Any], more: Any) -> None:
    with pytest.raises(MisplacedReply):
        read_replies(Parts(b"".join(map(encode, [*expected, more])), []), len(expected))


def test_a_closed_connection_is_an_error() -> None:
    with pytest.raises(exceptions.ConnectionError):
        read_replies(Parts(b"$3\r\nabc", []), 1)


@given(st.lists(replies, max_size=4), st.binary(max_size=20))
def test_what_follows_the_replies_is_left(expected: list[Any], rest: bytes) -> None:
    data = b"".join(map(encode, expected))
    assert parse(data + rest, len(expected)) == (expected, len(data))


@pytest.mark.parametrize("data", [b"x\r\n", b"$x\r\n", b"*1\r\n?\r\n", b":\r\n", b"\r\n"])
def test_anything_else_is_misplaced(data: bytes) -> None:
    with pytest.raises(MisplacedReply):
        parse(data, 1)


@given(st.binary(max_size=30), st.integers(0, 3))
def test_any_bytes_are_parsed_or_rejected(data: bytes, count: int) -> None:
    try:
        found, end = parse(data, count)
    except (Incomplete, MisplacedReply):
        return
    assert len(found) == count
    assert end <= len(data)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"-NOSCRIPT No matching script.", exceptions.NoScriptError),
        (b"-OOM command not allowed", exceptions.OutOfMemoryError),
        (b"-READONLY You can't write", exceptions.ReadOnlyError),
        (b"-NOPERM this user has no permissions", exceptions.NoPermissionError),
        (b"-BUSY Redis is busy running a script.", exceptions.ResponseError),
        (b"-ERR \xff", exceptions.ResponseError),
    ],
)
def test_an_error_reply_is_the_error_of_redis_py(line: bytes, kind: type[Exception]) -> None:
    (error,), _ = parse(line + b"\r\n", 1)
    assert type(error) is kind


def test_a_server_that_loads_its_data_is_not_connected() -> None:
    with pytest.raises(exceptions.BusyLoadingError):
        parse(b"-LOADING Redis is loading the dataset in memory\r\n", 1)
