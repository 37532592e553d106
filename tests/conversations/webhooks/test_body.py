"""Request bodies are read up to a limit, with or without Content-Length, and decoded as strict JSON."""

import io
import json
import sys
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from conversations.webhooks import body
from conversations.webhooks.errors import ErrorCode, WebhookError


def request(raw: bytes, length: object = None, *, terminated: bool = False) -> HttpRequest:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(raw), "wsgi.input_terminated": terminated}
    return RequestFactory().generic("POST", "/", CONTENT_LENGTH="" if length is None else str(length), **environ)


def read(from_request: HttpRequest, **options: Any) -> bytearray:
    with body.memory.reserve() as reservation:
        return body.read(from_request, reservation, **options)


def decode(raw: bytearray) -> Any:
    with body.memory.reserve() as reservation:
        return body.decode(raw, reservation)


def error_of(function: Any, *args: Any, **options: Any) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        function(*args, **options)
    return caught.value


def test_a_body_is_read_up_to_its_content_length() -> None:
    assert read(request(b"{}and the next request", 2)) == b"{}"


def test_a_body_is_read_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "CHUNK_BYTES", 3)
    assert read(request(b"0123456789", 10)) == b"0123456789"


def test_a_body_of_known_length_takes_no_spare_memory() -> None:
    raw = read(request(b"x" * 3_000_000, 3_000_000))
    assert sys.getsizeof(raw) - len(raw) < 100


def test_a_chunked_body_is_read_to_the_end_of_the_stream() -> None:
    assert read(request(b"[1, 2]", terminated=True)) == b"[1, 2]"


@pytest.mark.parametrize("length", [None, "ten", "-1", "+1", "1_0", "9" * 5000])
def test_a_body_of_unknown_length_is_rejected(length: object) -> None:
    assert error_of(read, request(b"{}", length)).code is ErrorCode.LENGTH_REQUIRED


def test_a_truncated_body_can_be_retried() -> None:
    error = error_of(read, request(b'{"event": ', 100))
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
    assert error_of(read, RequestFactory().generic("POST", "/", **environ)).code is ErrorCode.INCOMPLETE_BODY


def test_the_default_limit_is_100_mb() -> None:
    environ: dict[str, Any] = {"wsgi.input": LostConnection(), "CONTENT_LENGTH": str(100 * 1024 * 1024 + 1)}
    assert error_of(read, RequestFactory().generic("POST", "/", **environ)).code is ErrorCode.BODY_TOO_LARGE


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert len(read(request(bytes(10), 10), limit=10)) == 10
    assert len(read(request(bytes(10), terminated=True), limit=10)) == 10


def test_reading_a_chunked_body_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "CHUNK_BYTES", 4)
    large = request(bytes(1000), terminated=True)
    assert error_of(read, large, limit=10).status == 413
    assert large.META["wsgi.input"].tell() == 12


def test_decoding_empties_the_raw_body() -> None:
    raw = bytearray(b'{"a": 1}')
    assert decode(raw) == {"a": 1}
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
        (b"-1e999", "-1e999"),
        ('{"ç": "👋"}'.encode(), {"ç": "👋"}),
        (b'"\\ud83d\\udc4b\\u0000"', "👋\x00"),
        (b"9" * 20, int("9" * 20)),
        (b"9" * 21, "9" * 21),
        (b"-" + b"9" * 5000, "-" + "9" * 5000),
    ],
)
def test_any_type_of_json_value_is_decoded(raw: bytes, value: object) -> None:
    assert decode(bytearray(raw)) == value


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
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'"\xff"',
        '{"a": 1}'.encode("utf-16"),
        b'"line\nbreak"',
    ],
)
def test_a_body_that_is_not_json_must_not_be_retried(raw: bytes) -> None:
    assert error_of(decode, bytearray(raw)).status == 400


def test_an_error_does_not_quote_the_body() -> None:
    for raw in (b'{"secret": secret}', b'{"secret": "\xff"}', b'{"secret": NaN, "secret": 1}'):
        assert "secret" not in error_of(decode, bytearray(raw)).detail


def test_json_written_by_python_is_decoded_unchanged() -> None:
    value = {"float": 1.5, "int": 2**63, "nested": [[{}]], "text": "ãé\u2028"}
    assert decode(bytearray(json.dumps(value).encode())) == value


def test_a_large_body_with_letters_of_all_alphabets_is_decoded() -> None:
    value = ["Olá, 😀 мир \ud83d\u0000" + "x" * 1000] * 3000
    for escaped in (True, False):
        raw = json.dumps(value, ensure_ascii=escaped).encode(errors="replace")
        assert len(raw) > body.LARGE_BYTES
        assert decode(bytearray(raw)) == json.loads(raw)
        assert decode(bytearray(b"\xef\xbb\xbf" + raw)) == json.loads(raw)
    assert error_of(decode, bytearray(b'"' + "😀".encode() * 500_000 + b'\xf0"')).status == 400


def test_a_body_with_too_many_values_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MAX_VALUES", 10)
    assert decode(bytearray(b"[0,0,0,0,0,0,0,0,0]")) == [0] * 9
    for raw in (b"[" + b"0," * 20 + b"0]", b"[" + b"{}," * 20 + b"0]", b"[" * 11, b'{"a":' * 11):
        assert error_of(decode, bytearray(raw)).code is ErrorCode.BODY_TOO_LARGE


def test_a_body_with_values_that_need_too_much_memory_is_too_large() -> None:
    """Such a body needed eleven times its size."""
    for values in (b"1.5," * 900_000, b"1000," * 900_000):
        error = error_of(decode, bytearray(b'{"data":{"message":{"base64":[' + values + b"0]}}}"))
        assert (error.code, "bytes of memory" in error.detail) == (ErrorCode.BODY_TOO_LARGE, True)


def test_a_body_of_short_values_reserves_memory_for_each_of_them() -> None:
    """So a sender has one such body at a time; eight of 9 MB at once took 300 MB."""
    raw = bytearray(b'{"data":[' + (b'{"a":[' + b"1.5," * 125_000 + b"0]},") * 18 + b"0]}")
    with body.memory.reserve() as reservation:
        assert len(body.decode(raw, reservation)["data"]) == 19
        assert reservation.size > body.MEMORY_BUDGET // body.LARGE_SHARE


FILE = [*range(256)] * 4000
THUMBNAIL = {str(index): index % 256 for index in range(128 * 1024)}
SMALL_THUMBNAIL = {str(index): index % 256 for index in range(5000)}


@pytest.mark.parametrize(
    "data",
    [
        {"message": {"base64": FILE}},
        {"message": {"base64": {"type": "Buffer", "data": FILE}}},
        {"message": {"imageMessage": {"jpegThumbnail": THUMBNAIL}}},
        [{"message": {"imageMessage": {"jpegThumbnail": SMALL_THUMBNAIL}}}] * 200,
    ],
)
def test_a_file_of_numbers_is_not_too_large(data: Any) -> None:
    raw = bytearray(json.dumps({"data": data}).encode())
    assert len(raw) > body.LARGE_BYTES
    decoded = decode(raw)["data"]
    assert (list(decoded) if isinstance(data, list) else decoded) == data


def test_bodies_that_need_too_much_memory_at_once_are_refused_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SMALL_BYTES", 0)
    budget = body.MemoryBudget(100)
    with budget.reserve() as one, budget.reserve() as other:
        one.sender, other.sender = 1, 2
        assert body.read(request(bytes(60), 60), one) == bytes(60)
        error = error_of(body.read, request(bytes(60), 60), other)
        assert (error.code, error.response()["Retry-After"]) == (ErrorCode.OVERLOADED, "30")
    with budget.reserve() as later, budget.reserve() as another:
        later.sender, another.sender = 1, 2
        assert body.read(request(bytes(60), terminated=True), later) == bytes(60)
        another.grow(1)
        assert error_of(body.decode, bytearray(b"[]" + b" " * 60), later).code is ErrorCode.OVERLOADED
    with budget.reserve() as alone:
        assert body.decode(bytearray(b"[]" + b" " * 60), alone) == []
    with budget.reserve() as free:
        free.grow(100)


def test_a_small_body_is_accepted_while_a_large_one_has_all_memory() -> None:
    budget = body.MemoryBudget()
    raw = b"[" + b"0," * 30_000 + b"0]"
    with budget.reserve() as large, budget.reserve() as small, budget.reserve() as chunked:
        large.grow(budget.limit)
        assert body.decode(body.read(request(raw, len(raw)), small), small) == [0] * 30_001
        assert body.read(request(raw, terminated=True), chunked) == raw
        longer = bytes(body.SMALL_BYTES + 1)
        assert error_of(body.read, request(longer, len(longer)), small).code is ErrorCode.OVERLOADED


def test_a_sender_has_one_large_body_at_a_time() -> None:
    budget = body.MemoryBudget(800)
    with budget.reserve() as other, budget.reserve() as another:
        with budget.reserve() as first:
            first.sender, other.sender, another.sender = 1, 1, 2
            first.grow(200)
            other.grow(100)
            assert error_of(other.grow, 1).code is ErrorCode.OVERLOADED
            another.grow(200)
            first.grow(300)
        other.grow(500)
