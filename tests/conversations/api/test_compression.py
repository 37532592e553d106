"""Large texts are compressed for clients that accept gzip; small ones and files are not."""

import gzip
import secrets

import pytest
from django.http import FileResponse, HttpRequest, HttpResponse
from rest_framework.test import APIClient

from conversations.api.compression import MAX_KEPT, MAX_KEPT_BYTES, MIN_BYTES, middleware, packed
from tests.conversations.rows import a_contact, an_instance

GZIP = {"Accept-Encoding": "br, gzip"}


@pytest.mark.django_db
def test_a_large_answer_is_compressed_and_its_etag_still_works(api: APIClient) -> None:
    instance = an_instance()
    for _ in range(10):
        a_contact(instance)
    for _ in range(2):  # a view answers first, and the cache then
        plain, packed = api.get("/api/v1/contacts/"), api.get("/api/v1/contacts/", headers=GZIP)
        assert len(packed.content) < len(plain.content) / 3
        assert gzip.decompress(packed.content) == plain.content
        assert int(packed["Content-Length"]) == len(packed.content)
        assert (packed["Content-Encoding"], packed["ETag"]) == ("gzip", f"W/{plain['ETag']}")
        assert all("Accept-Encoding" in answer["Vary"] for answer in (plain, packed))
        again = api.get("/api/v1/contacts/", headers={**GZIP, "If-None-Match": packed["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


def compressed(content: bytes) -> bytes:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_ENCODING"] = "gzip"
    return middleware(lambda _: HttpResponse(content, content_type="application/json"))(request).content


def test_a_content_that_was_sent_before_is_not_compressed_again() -> None:
    content = secrets.token_hex(MIN_BYTES).encode()
    first = compressed(content)
    assert gzip.decompress(first) == content
    assert all(compressed(bytes(bytearray(content))) == first for _ in range(8)), "random bytes would differ"
    assert packed.cache_info().maxsize == MAX_KEPT


def test_a_large_content_is_not_kept() -> None:
    content = b"a" * (MAX_KEPT_BYTES + 1)
    before = packed.cache_info().currsize
    assert gzip.decompress(compressed(content)) == content
    assert packed.cache_info().currsize == before


def response_of(content: bytes, content_type: str) -> HttpResponse:
    return HttpResponse(content, content_type=content_type)


@pytest.mark.parametrize(
    ("response", "is_compressed"),
    [
        (response_of(b"a" * MIN_BYTES, "application/json"), True),
        (response_of(b"a" * MIN_BYTES, "text/html; charset=utf-8"), True),
        (response_of(b"a" * (MIN_BYTES - 1), "application/json"), False),
        (response_of(b"a" * MIN_BYTES, "image/jpeg"), False),
        (FileResponse(iter([b"a" * MIN_BYTES]), content_type="text/plain"), False),
    ],
)
def test_only_large_texts_are_compressed(response: HttpResponse, *, is_compressed: bool) -> None:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_ENCODING"] = "gzip"
    answer = middleware(lambda _: response)(request)
    assert ("Content-Encoding" in answer, "Vary" in answer) == (is_compressed, is_compressed)
