"""Reads the replies of the Redis server to one round trip (RESP 2).

The reader of redis-py does the same, but takes a third of the time of a hit in the shared store.
"""

from time import monotonic
from typing import Any

from redis import exceptions
from redis.connection import DefaultParser

RECEIVE_SIZE = 65_536  # bytes read from the socket at once
# An attacker who can write to the server must not make this process use much memory or time by large values. The
# largest value that a process stores is a page of rows, which ends at 1 MB.
MAX_VALUE_BYTES = 2 * 2**20
# The limit for all replies to one round trip. The rows of 200 messages with the longest text are read in one, and have
# 50 MB.
MAX_BYTES = 128 * 2**20
# All replies to one round trip must arrive within `MAX_SECONDS`, and one second more for each `BYTES_PER_SECOND` of
# them. The connection's own time-out begins again with each part that arrives, so many slow parts could take minutes.
MAX_SECONDS = 0.25
BYTES_PER_SECOND = 50 * 2**20
_ARRAY, _BULK, _INTEGER, _SIMPLE, _ERROR = b"*$:+-"


class Incomplete(Exception):
    """The rest of a reply has not arrived yet.

    Attributes:
        needed: the smallest number of bytes with which the replies may be complete.
    """

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class MisplacedReply(exceptions.ConnectionError):
    """A reply does not belong to the command that was sent, so nothing that the connection returns can be used."""


class ValueTooLarge(exceptions.RedisError):
    """A value is larger than any that a process stores, so something else has written it."""


def read_replies(connection: Any, count: int) -> list[Any]:
    """Read `count` replies from a connection of redis-py; an error reply becomes an exception in the result.

    Raises:
        MisplacedReply: the server has sent more replies than `count`, too many bytes, or bytes that are not a reply.
        ValueTooLarge: the replies contain a value that no process stores.
        ConnectionError: the server has closed the connection, or is loading its data.
        TimeoutError: the replies did not arrive in time.
    """
    parts, tail = [], b""
    size, needed, inspected_at, deadline = 0, 0, RECEIVE_SIZE, monotonic() + MAX_SECONDS
    while True:
        parts.append(_receive(connection))
        size += len(parts[-1])
        tail = (tail + parts[-1][-2:])[-2:]
        # Every reply ends with these bytes, and so may any part of a value. Long replies are also parsed at times when
        # they cannot be complete, to find values that are too large.
        if size >= needed and (tail == b"\r\n" or size >= inspected_at):
            received = b"".join(parts)
            try:
                replies, end = parse(received, count)
            except Incomplete as incomplete:
                parts, needed, inspected_at = [received], incomplete.needed, 2 * size
                if max(size, needed) > MAX_BYTES:
                    raise MisplacedReply("the replies are too large") from None
            else:
                if end != len(received):
                    raise MisplacedReply("more replies than commands")
                return replies
        if monotonic() >= deadline + size / BYTES_PER_SECOND:
            raise exceptions.TimeoutError(f"{size} bytes took more than {MAX_SECONDS} s at {BYTES_PER_SECOND} B/s")


def _receive(connection: Any) -> bytes:
    sock = connection._sock  # noqa: SLF001 - redis-py has no faster way to read
    try:
        data: bytes = sock.recv(RECEIVE_SIZE) if sock else b""  # another thread may have closed the connection
    except TimeoutError as error:
        raise exceptions.TimeoutError("Timeout reading from socket") from error
    except OSError as error:
        raise exceptions.ConnectionError(f"Error while reading from socket: {error}") from error
    if not data:
        raise exceptions.ConnectionError("Connection closed by server.")
    return data


def parse(data: bytes, count: int) -> tuple[list[Any], int]:
    """Parse `count` replies, and return them and the index after the last one.

    Raises:
        Incomplete: the data end before the last reply.
        MisplacedReply: the data contain bytes that are not a reply.
        ValueTooLarge: the data contain the beginning of a value that no process stores.
    """
    try:
        return _parse(data, count, 0)
    except IndexError:
        raise Incomplete(len(data) + 1) from None
    except ValueError as error:
        raise MisplacedReply("not a reply") from error


def _parse(data: bytes, count: int, at: int) -> tuple[list[Any], int]:
    """Do what `parse` does; raise IndexError if a line is incomplete, and ValueError for something else."""
    replies: list[Any] = []
    for _ in range(count):
        kind, end = data[at], data.find(b"\r\n", at)
        if end < 0:
            raise IndexError
        line, at = data[at + 1 : end], end + 2
        if kind == _BULK:
            size = int(line)
            if size > MAX_VALUE_BYTES:
                raise ValueTooLarge("a value is larger than any that is stored")
            if size >= 0 and at + size + 2 > len(data):
                raise Incomplete(at + size + 2)
            replies.append(None if size < 0 else data[at : at + size])
            at += 0 if size < 0 else size + 2
        elif kind == _ARRAY:
            items, at = _parse(data, int(line), at)
            replies.append(items)
        else:
            replies.append(_parse_line(kind, line))
    return replies, at


def _parse_line(kind: int, line: bytes) -> int | bytes | exceptions.ResponseError:
    """Parse a reply of one line; `kind` is the byte before it."""
    if kind == _INTEGER:
        return int(line)
    if kind == _SIMPLE:
        return line
    if kind != _ERROR:
        raise ValueError(kind)
    parse_error: Any = DefaultParser.parse_error  # redis-py does not annotate it
    error: exceptions.ResponseError = parse_error(line.decode(errors="replace"))
    if isinstance(error, exceptions.ConnectionError):
        raise error  # the server is loading its data
    return error
