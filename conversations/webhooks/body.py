"""Reads a request's body, with or without Content-Length, up to a size limit, and decodes the body as strict JSON.

The memory that decoding takes is bounded: for one body by a limit of its values, and for all bodies that this process
decodes at the same time by a budget. Small bodies need no budget, so that no large body delays them.

This module does not use Django's `request.body`. Django would answer a body over 2.5 MB with status 400, and Evolution
drops an event that is answered with status 400. Django would also treat a chunked body (without Content-Length) as
empty.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_noop as _

from conversations.evolution.json_numbers import MAX_DIGITS, parse_float, parse_int, reject_constant
from conversations.evolution.large_json.decoder import decode as decode_large
from conversations.evolution.large_json.errors import TooDeepError, TooManyItemsError, TooMuchMemoryError
from conversations.evolution.large_json.memory import BYTES_PER_VALUE, SEPARATORS
from conversations.webhooks import free_memory
from conversations.webhooks.errors import ErrorCode, WebhookError

MAX_BYTES = 100 * 1024 * 1024  # a history import or a long video arrives in one request body
CHUNK_BYTES = 1024 * 1024  # maximum bytes per read from the request
# The web server sets this WSGI variable to ask whether it should receive the rest of a large body; see `views.py`.
CHECK_ONLY = "webhooks.check_only"
TOO_DEEP = _("the body is nested too deeply")

MAX_VALUES = 2_500_000  # names and values in one body, about those of 80,000 messages
MEMORY_BUDGET = 540 * 1024 * 1024  # estimated bytes of memory for the bodies that this process decodes at once
SMALL_BYTES = 64 * 1024  # a body up to this size reserves nothing; one in each of eight threads takes 45 MB at most
LARGE_SHARE = 8  # a sender may have one reservation at a time of more than the budget divided by this number
# Bytes of memory for one byte of a body, beside the body itself. Python stores a text with an emoji as four bytes for
# each character.
ASCII_FACTOR, WIDE_FACTOR = 2, 5

TRIM_BYTES = 16 * 1024 * 1024  # of a reservation whose freed memory is returned to the operating system
LARGE_BYTES = 1024 * 1024  # longer bodies are decoded in steps: with less memory and more time

_CONTENT_LENGTH = re.compile(r"[0-9]{1,18}")


class Reservation:
    """The memory that one request has reserved in a `MemoryBudget`; `sender` is the key of its instance, if known."""

    def __init__(self, budget: "MemoryBudget") -> None:
        self._budget = budget
        self.size = 0
        self.sender: int | None = None

    def grow(self, count: int) -> None:
        """Reserve `count` more bytes, but not more than the whole budget, so that each body is accepted at some time.

        Raises:
            WebhookError: other requests have reserved the memory, or the sender has another large reservation.
        """
        self._budget.take(self, min(count, self._budget.limit - self.size))


class MemoryBudget:
    """Limits the memory that the threads of this process need together for reading, decoding and storing bodies."""

    def __init__(self, limit: int = MEMORY_BUDGET) -> None:
        self.limit = limit
        self._free = limit
        self._large: dict[int | None, Reservation] = {}  # by sender
        self._lock = threading.Lock()

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """Yield a reservation, and release its memory when the `with` block ends."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            if reservation.size > TRIM_BYTES:
                free_memory.trim()
            self._release(reservation)

    def take(self, reservation: Reservation, count: int) -> None:
        """Add `count` bytes to a reservation.

        Raises:
            WebhookError: less than `count` bytes are free, or the sender has another large reservation.
        """
        with self._lock:
            is_large = reservation.size + count > self.limit // LARGE_SHARE
            has_other = is_large and self._large.get(reservation.sender, reservation) is not reservation
            if has_other or count > self._free:
                raise WebhookError(ErrorCode.OVERLOADED, _("too many large bodies at once; send it again later"))
            if is_large:
                self._large[reservation.sender] = reservation
            self._free -= count
            reservation.size += count

    def _release(self, reservation: Reservation) -> None:
        with self._lock:
            self._free += reservation.size
            if self._large.get(reservation.sender) is reservation:
                del self._large[reservation.sender]


memory = MemoryBudget()


def read(request: HttpRequest, reservation: Reservation, limit: int = MAX_BYTES) -> bytearray:
    """Return the body of a request.

    Args:
        request: a request whose body was not read yet.
        reservation: reserves the body's memory.
        limit: the maximum size of the body in bytes.

    Raises:
        WebhookError: the body is too large or incomplete, its length is unknown, or there is no memory for it.
    """
    length = _content_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    _reserve(reservation, length or 0)
    read_bytes, raw, size = _byte_source(request, length), bytearray(length or 0), 0  # growing takes more memory
    while chunk := _read_chunk(read_bytes):
        raw[size : size + len(chunk)] = chunk
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        _reserve(reservation, size)
    if size < len(raw):
        text = _("received %(size)s of %(length)s bytes")
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, text, size=size, length=length)
    return raw


def _reserve(reservation: Reservation, size: int) -> None:
    """Reserve the memory of a body of `size` bytes, except of a small one."""
    if size > max(SMALL_BYTES, reservation.size):
        reservation.grow(size - reservation.size)


def _content_length(request: HttpRequest) -> int | None:
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if _CONTENT_LENGTH.fullmatch(text) else None


def _byte_source(request: HttpRequest, length: int | None) -> Callable[[int], bytes]:
    if length is not None:
        return request.read
    # A chunked body has no Content-Length. A WSGI server that sets `wsgi.input_terminated` ends the input stream at the
    # end of the body.
    if request.META.get("wsgi.input_terminated"):
        read_stream: Callable[[int], bytes] = request.META["wsgi.input"].read
        return read_stream
    raise WebhookError(ErrorCode.LENGTH_REQUIRED, _("send a valid Content-Length"))


def _read_chunk(read_bytes: Callable[[int], bytes]) -> bytes:
    try:
        return read_bytes(CHUNK_BYTES)
    except Exception as error:  # WSGI servers raise different exceptions for lost connections and malformed chunks
        text = _("the body could not be read: %(error)s")
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, text, error=type(error).__name__) from error


def _too_large(limit: int) -> WebhookError:
    return WebhookError(ErrorCode.BODY_TOO_LARGE, _("the body is larger than %(limit)s bytes"), limit=limit)


def decode(raw: bytearray, reservation: Reservation) -> Any:
    """Decode a JSON body, and empty `raw`, so that a large body is not in memory twice.

    Unlike in Python's default decoder, NaN and Infinity are errors, because databases reject them, and a number that no
    field of WhatsApp can hold becomes the text that was sent.

    Raises:
        WebhookError: the body is not JSON in UTF-8, has too many values or levels, or there is no memory for it.
    """
    if not raw:
        raise WebhookError(ErrorCode.MALFORMED_JSON, _("the body is empty"))
    values = sum(raw.count(separator.encode()) for separator in SEPARATORS)
    if values > MAX_VALUES:
        raise WebhookError(ErrorCode.BODY_TOO_LARGE, _("the body has more than %(count)s values"), count=MAX_VALUES)
    factor = ASCII_FACTOR if raw.isascii() and b"\\u" not in raw else WIDE_FACTOR
    if len(raw) > SMALL_BYTES:
        reservation.grow(factor * len(raw) + BYTES_PER_VALUE * values)
    try:
        if len(raw) > LARGE_BYTES:
            return decode_large(raw, _DIGITS_DECODER)
        decoder = _DIGITS_DECODER if _LONG_DIGITS.search(raw) else _DECODER
        text = raw.decode("utf-8-sig")
        raw.clear()
        return decoder.decode(text)
    except (RecursionError, TooDeepError):
        raise WebhookError(ErrorCode.MALFORMED_JSON, TOO_DEEP) from None
    except TooManyItemsError as error:
        text = _("a large array or object has more than %(count)s items")
        raise WebhookError(ErrorCode.BODY_TOO_LARGE, text, count=error.limit) from None
    except TooMuchMemoryError as error:
        text = _("the values of the body take more than %(limit)s bytes of memory")
        raise WebhookError(ErrorCode.BODY_TOO_LARGE, text, limit=error.limit) from None
    except ValueError as error:  # the UTF-8 codec, the JSON decoder and int() raise errors that quote no content
        raise WebhookError(ErrorCode.MALFORMED_JSON, _("the body is not JSON: %(error)s"), error=error) from None


_LONG_DIGITS = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_DECODER = json.JSONDecoder(parse_constant=reject_constant, parse_float=parse_float)
# Calling a function for each integer takes time, so only bodies with long digits are decoded with it.
_DIGITS_DECODER = json.JSONDecoder(parse_constant=reject_constant, parse_float=parse_float, parse_int=parse_int)
