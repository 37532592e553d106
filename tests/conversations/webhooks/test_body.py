"""Request bodies are read up to a limit, with or without Content-Length, and decoded as strict JSON."""

import io
import json
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from conversations.webhooks import body
from conversations.webhooks.errors import ErrorCode, WebhookError


def request(raw: bytes, length: object = None, *, terminated: bool = False) -> HttpRequest:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": terminated}
    return RequestFactory().generic("POST", "/", CONTENT_LENGTH="" if length is None else str(length), **environ)


def error_of(function: Any, *args: Any, **options: Any) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        function(*args, **options)
    return caught.value


def test_a_body_is_read_up_to_its_content_length() -> None:
    assert body.read(request(b"{}and the next request", 2)) == b"{}"


def test_a_body_is_read_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "CHUNK_BYTES", 3)
    assert body.read(request(b"0123456789", 10)) == b"0123456789"


def test_a_chunked_body_is_read_to_the_end_of_the_stream() -> None:
    assert body.read(request(b"[1, 2]", terminated=True)) == b"[1, 2]"


@pytest.mark.parametrize("length", [None, "ten", "-1", "+1", "1_0", "9" * 5000])
def test_a_body_of_unknown_length_is_rejected(length: object) -> None:
    assert error_of(body.read, request(b"{}", length)).code is ErrorCode.LENGTH_REQUIRED


def test_a_truncated_body_can_be_retried() -> None:
    error = error_of(body.read, request(b'{"event": ', 100))
    assert (error.status, error.detail) == (408, "received 10 of 100 bytes")


class LostConnection(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise ConnectionResetError


class BrokenChunk(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise EOFError  # web servers raise exceptions other than OSError


@pytest.mark.parametrize("stream", [LostConnection(), BrokenChunk()])
@pytest.mark.parametrize("length", ["10", ""])
def test_a_body_that_cannot_be_read_can_be_retried(stream: io.RawIOBase, length: str) -> None:
    environ: dict[str, Any] = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": length}
    assert error_of(body.read, RequestFactory().generic("POST", "/", **environ)).code is ErrorCode.INCOMPLETE_BODY


def test_the_default_limit_is_100_mb() -> None:
    environ: dict[str, Any] = {"wsgi.input": LostConnection(), "CONTENT_LENGTH": str(100 * 1024 * 1024 + 1)}
    assert error_of(body.read, RequestFactory().generic("POST", "/", **environ)).code is ErrorCode.BODY_TOO_LARGE


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert len(body.read(request(bytes(10), 10), limit=10)) == 10
    assert len(body.read(request(bytes(10), terminated=True), limit=10)) == 10


def test_reading_a_chunked_body_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "CHUNK_BYTES", 4)
    large = request(bytes(1000), terminated=True)
    assert error_of(body.read, large, limit=10).status == 413
    assert large.META["wsgi.input"].tell() == 12


def test_decoding_empties_the_raw_body() -> None:
    raw = bytearray(b'{"a": 1}')
    assert body.decode(raw) == {"a": 1}
    assert raw == b""


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\xef\xbb\xbf{}", {}),
        (b' {"a": 1, "a": 2}\n', {"a": 2}),
        (b"[]", []),
        (b'"text"', "text"),
        (b"null", None),
        (b"-0.5e-3", -0.0005),
        ('{"ç": "👋"}'.encode(), {"ç": "👋"}),
        (b'"\\ud83d\\udc4b\\u0000"', "👋\x00"),
        (b"9" * 4000, int("9" * 4000)),
    ],
)
def test_any_type_of_json_value_is_decoded(raw: bytes, value: object) -> None:
    assert body.decode(bytearray(raw)) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"9" * 5000,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'"\xff"',
        '{"a": 1}'.encode("utf-16"),
        b'"line\nbreak"',
    ],
)
def test_a_body_that_is_not_json_must_not_be_retried(raw: bytes) -> None:
    assert error_of(body.decode, bytearray(raw)).status == 400


def test_an_error_does_not_quote_the_body() -> None:
    for raw in (b'{"secret": secret}', b'{"secret": "\xff"}', b'{"secret": NaN, "secret": 1}'):
        assert "secret" not in error_of(body.decode, bytearray(raw)).detail


def test_json_written_by_python_is_decoded_unchanged() -> None:
    value = {"float": 1.5, "int": 2**63, "nested": [[{}]], "text": "ãé\u2028"}
    assert body.decode(bytearray(json.dumps(value).encode())) == value
