"""A request's body: read up to a limit, however it is sent, and decoded as strict JSON.

Django's own `request.body` cannot be used: it holds every body to 2.5 MB and answers 400 beyond that, at which
Evolution drops the event; and it takes a chunked body for an empty one.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from django.http import HttpRequest

from conversations.webhooks.errors import ErrorCode, WebhookError

LIMIT = 100 * 1024 * 1024  # bytes; a history import or a long video comes in one body
PIECE = 1024 * 1024  # bytes read at a time
TOO_DEEP = "the body is nested too deeply"

_LENGTH = re.compile(r"[0-9]{1,18}")


def read(request: HttpRequest, limit: int = LIMIT) -> bytearray:
    """Return the whole body, or nothing: one that is cut short must be sent again.

    Raises:
        Refused: it is too large, incomplete, or there is no telling where it ends.
    """
    length = _declared_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    source, raw = _source(request, length), bytearray()
    while piece := _next_piece(source):
        raw += piece
        if len(raw) > limit:
            raise _too_large(limit)
    if length is not None and len(raw) < length:
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, f"{len(raw)} of {length} bytes came")
    return raw


def _declared_length(request: HttpRequest) -> int | None:
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if _LENGTH.fullmatch(text) else None


def _source(request: HttpRequest, length: int | None) -> Callable[[int], bytes]:
    if length is not None:
        return request.read
    # A chunked body has no length; a server that says so ends the stream where the body ends.
    if request.META.get("wsgi.input_terminated"):
        read_stream: Callable[[int], bytes] = request.META["wsgi.input"].read
        return read_stream
    raise WebhookError(ErrorCode.LENGTH_REQUIRED, "send a valid Content-Length")


def _next_piece(source: Callable[[int], bytes]) -> bytes:
    try:
        return source(PIECE)
    except Exception as error:  # each server has exceptions of its own for a lost connection or a broken chunk
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, f"the body could not be read: {type(error).__name__}") from error


def _too_large(limit: int) -> WebhookError:
    return WebhookError(ErrorCode.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")


def decode(raw: bytearray) -> Any:
    """Return the JSON value in `raw`, which is emptied, so that a large body is not held twice.

    Stricter than Python: numbers that JSON has no form for, and that a database would refuse, are errors.

    Raises:
        Refused: it is not JSON in UTF-8, or nested deeper than can be read.
    """
    if not raw:
        raise WebhookError(ErrorCode.MALFORMED_JSON, "the body is empty")
    try:
        text = raw.decode("utf-8-sig")
        raw.clear()
        return _DECODER.decode(text)
    except RecursionError:
        raise WebhookError(ErrorCode.MALFORMED_JSON, TOO_DEEP) from None
    except ValueError as error:  # what the codec, the decoder and int() raise; their messages quote no content
        raise WebhookError(ErrorCode.MALFORMED_JSON, f"the body is not JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
