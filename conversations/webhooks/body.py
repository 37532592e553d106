"""Reads a request's body, with or without Content-Length, up to a size limit, and decodes the body as strict JSON.

This module does not use Django's `request.body`. Django would answer a body over 2.5 MB with status 400, and Evolution
drops an event that is answered with status 400. Django would also treat a chunked body (without Content-Length) as
empty.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from django.http import HttpRequest

from conversations.webhooks.errors import ErrorCode, WebhookError

MAX_BYTES = 100 * 1024 * 1024  # a history import or a long video arrives in one request body
CHUNK_BYTES = 1024 * 1024  # maximum bytes per read from the request
TOO_DEEP = "the body is nested too deeply"

_CONTENT_LENGTH = re.compile(r"[0-9]{1,18}")


def read(request: HttpRequest, limit: int = MAX_BYTES) -> bytearray:
    """Return the body of a request.

    Args:
        request: a request whose body was not read yet.
        limit: the maximum size of the body in bytes.

    Raises:
        WebhookError: the body is too large or incomplete, or the body's length is unknown.
    """
    length = _content_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    read_bytes, raw = _byte_source(request, length), bytearray()
    while chunk := _read_chunk(read_bytes):
        raw += chunk
        if len(raw) > limit:
            raise _too_large(limit)
    if length is not None and len(raw) < length:
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, f"received {len(raw)} of {length} bytes")
    return raw


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
    raise WebhookError(ErrorCode.LENGTH_REQUIRED, "send a valid Content-Length")


def _read_chunk(read_bytes: Callable[[int], bytes]) -> bytes:
    try:
        return read_bytes(CHUNK_BYTES)
    except Exception as error:  # WSGI servers raise different exceptions for lost connections and malformed chunks
        raise WebhookError(ErrorCode.INCOMPLETE_BODY, f"the body could not be read: {type(error).__name__}") from error


def _too_large(limit: int) -> WebhookError:
    return WebhookError(ErrorCode.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")


def decode(raw: bytearray) -> Any:
    """Decode a JSON body, and empty `raw`, so that a large body is not in memory twice.

    Unlike in Python's default decoder, NaN, Infinity and numbers that overflow a float are errors, because databases
    reject these values.

    Raises:
        WebhookError: the body is not JSON in UTF-8, or is nested too deeply.
    """
    if not raw:
        raise WebhookError(ErrorCode.MALFORMED_JSON, "the body is empty")
    try:
        text = raw.decode("utf-8-sig")
        raw.clear()
        return _DECODER.decode(text)
    except RecursionError:
        raise WebhookError(ErrorCode.MALFORMED_JSON, TOO_DEEP) from None
    except ValueError as error:  # the UTF-8 codec, the JSON decoder and int() raise errors that quote no content
        raise WebhookError(ErrorCode.MALFORMED_JSON, f"the body is not JSON: {error}") from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_parse_float)
