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


def refused(function: Any, *args: Any, **options: Any) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        function(*args, **options)
    return caught.value


def test_a_body_of_known_length_is_read_whole_and_no_further() -> None:
    assert body.read(request(b"{}and the next request", 2)) == b"{}"


def test_a_body_of_several_pieces_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PIECE", 3)
    assert body.read(request(b"0123456789", 10)) == b"0123456789"


def test_a_chunked_body_ends_where_the_server_says_that_the_stream_ends() -> None:
    assert body.read(request(b"[1, 2]", terminated=True)) == b"[1, 2]"


@pytest.mark.parametrize("length", [None, "ten", "-1", "+1", "1_0", "9" * 5000])
def test_a_body_of_unknowable_length_is_not_read(length: object) -> None:
    assert refused(body.read, request(b"{}", length)).reason is ErrorCode.LENGTH_REQUIRED


def test_a_body_cut_short_is_to_be_sent_again() -> None:
    cut = refused(body.read, request(b'{"event": ', 100))
    assert (cut.status, cut.detail) == (408, "10 of 100 bytes came")


class Lost(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise ConnectionResetError


class BrokenChunk(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise EOFError  # stands for a server's own exception, which is no OSError


@pytest.mark.parametrize("stream", [Lost(), BrokenChunk()])
@pytest.mark.parametrize("length", ["10", ""])
def test_a_body_that_cannot_be_read_is_to_be_sent_again(stream: io.RawIOBase, length: str) -> None:
    environ: dict[str, Any] = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": length}
    assert refused(body.read, RequestFactory().generic("POST", "/", **environ)).reason is ErrorCode.INCOMPLETE_BODY


def test_the_limit_is_a_hundred_megabytes() -> None:
    environ: dict[str, Any] = {"wsgi.input": Lost(), "CONTENT_LENGTH": str(100 * 1024 * 1024 + 1)}
    assert refused(body.read, RequestFactory().generic("POST", "/", **environ)).reason is ErrorCode.BODY_TOO_LARGE


def test_a_body_as_large_as_the_limit_is_read() -> None:
    assert len(body.read(request(bytes(10), 10), limit=10)) == 10
    assert len(body.read(request(bytes(10), terminated=True), limit=10)) == 10


def test_a_chunked_body_is_read_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PIECE", 4)
    endless = request(bytes(1000), terminated=True)
    assert refused(body.read, endless, limit=10).status == 413
    assert endless.META["wsgi.input"].tell() == 12


def test_decoding_empties_the_bytes() -> None:
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
def test_json_of_any_type_is_decoded(raw: bytes, value: object) -> None:
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
def test_what_is_not_json_is_refused_for_good(raw: bytes) -> None:
    assert refused(body.decode, bytearray(raw)).status == 400


def test_an_error_quotes_nothing_of_the_body() -> None:
    for raw in (b'{"secret": secret}', b'{"secret": "\xff"}', b'{"secret": NaN, "secret": 1}'):
        assert "secret" not in refused(body.decode, bytearray(raw)).detail


def test_json_that_python_writes_is_read_back() -> None:
    value = {"float": 1.5, "int": 2**63, "nested": [[{}]], "text": "ãé\u2028"}
    assert body.decode(bytearray(json.dumps(value).encode())) == value
