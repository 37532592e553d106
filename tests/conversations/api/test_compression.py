"""Large texts are compressed for clients that accept gzip; small ones and files are not."""

import gzip

import pytest
from django.http import FileResponse, HttpRequest, HttpResponse
from rest_framework.test import APIClient

from conversations.api.compression import MIN_BYTES, middleware
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
