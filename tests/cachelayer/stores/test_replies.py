"""Replies are parsed as redis-py parses them, however they arrive in parts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions

from cachelayer.stores import replies as module
from cachelayer.stores.replies import (
    MAX_VALUE_BYTES,
    RECEIVE_SIZE,
    Incomplete,
    MisplacedReply,
    ValueTooLarge,
    parse,
    read_replies,
)


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


class Endless:
    """A connection that sends the same part again and again, after a head; it counts the bytes that were received."""

    def __init__(self, head: bytes, part: bytes) -> None:
        self.received = 0
        self._parts = [part, head]
        self._sock = self

    def recv(self, _size: int) -> bytes:
        part = self._parts.pop() if len(self._parts) > 1 else self._parts[0]
        self.received += len(part)
        return part


@pytest.mark.parametrize("part", [b"x" * RECEIVE_SIZE, b"\r\n" * (RECEIVE_SIZE // 2)])
def test_a_value_that_is_too_large_is_not_received(part: bytes) -> None:
    """Whoever can write to the server could fill the memory of all processes that read from it."""
    connection = Endless(b"*2\r\n$1\r\nx\r\n$%d\r\n" % (MAX_VALUE_BYTES + 1), part)
    with pytest.raises(ValueTooLarge):
        read_replies(connection, 1)
    assert connection.received < 3 * RECEIVE_SIZE


def test_replies_that_arrive_for_too_long_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part came within the time-out of the connection, and all of them together took seconds."""
    monkeypatch.setattr(module, "MAX_SECONDS", 0.0)
    assert read_replies(Parts(b"$3\r\nabc\r\n", []), 1) == [b"abc"]
    with pytest.raises(exceptions.TimeoutError):
        read_replies(Endless(b"$%d\r\n" % MAX_VALUE_BYTES, b"x"), 1)


def test_replies_that_are_too_large_together_are_not_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 4 * RECEIVE_SIZE)
    connection = Endless(b"*1000000\r\n", encode(b"x" * 1014) * (RECEIVE_SIZE // 1024))
    with pytest.raises(MisplacedReply):
        read_replies(connection, 1)
    assert connection.received < 10 * RECEIVE_SIZE


def test_a_long_value_is_parsed_few_times_whatever_it_contains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of 20 MB of line ends took a second of a processor, and one of 200 MB would have taken 100."""
    calls = []

    def counted(data: bytes, count: int) -> Any:
        calls.append(len(data))
        return parse(data, count)

    monkeypatch.setattr(module, "parse", counted)
    value = b"\r\n" * 1_000_000
    data = encode(value)
    for start in (0, 1):  # parts end with a line end in one of these cases
        connection = Parts(data, [RECEIVE_SIZE] * 50 + [RECEIVE_SIZE + start])
        assert read_replies(connection, 1) == [value]
    assert len(calls) <= 2 * 7
