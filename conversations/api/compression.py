"""Compresses large answers for clients that accept gzip.

Random bytes are added, so that the length of an answer tells nothing about a secret in it. The `ETag` of a compressed
answer is weak, because its bytes differ each time. Files of messages are sent as they are.

The compressed forms of the contents that were sent last are kept, so that a hit of the cache is not compressed again.
Each content then has one length, which no repetition of a request averages out.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

MIN_BYTES = 1400  # a shorter answer fits into one packet
TEXTS = ("application/json", "application/problem+json", "application/vnd.oai.openapi", "text/")
MAX_KEPT_BYTES = 64 * 1024  # a longer content is compressed each time
MAX_KEPT = 200  # contents; they take 16 MB at most, and mostly a fourth of that
MAX_RANDOM_BYTES = 100
ACCEPTS_GZIP = re.compile(r"\bgzip\b")


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Compress the texts that are long enough."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_compressible(response):
            patch_vary_headers(response, ("Accept-Encoding",))
            if ACCEPTS_GZIP.search(request.META.get("HTTP_ACCEPT_ENCODING", "")):
                compress(response)
        return response

    return answer


def is_compressible(response: HttpResponse) -> bool:
    """Return whether a response is a text that compression makes shorter."""
    is_text = response.headers.get("Content-Type", "").startswith(TEXTS)
    return is_text and not response.streaming and len(response.content) >= MIN_BYTES


def compress(response: HttpResponse) -> None:
    """Replace the content of a response by its compressed form, unless this is longer."""
    pack = packed if len(response.content) <= MAX_KEPT_BYTES else packed.__wrapped__
    content = pack(response.content)
    if len(content) >= len(response.content):
        return
    response.content = content
    response["Content-Length"] = str(len(content))
    response["Content-Encoding"] = "gzip"
    if response.get("ETag", "").startswith('"'):
        response["ETag"] = f"W/{response['ETag']}"


@lru_cache(MAX_KEPT)
def packed(content: bytes) -> bytes:
    """Return a content as gzip, with random bytes."""
    return compress_string(content, max_random_bytes=MAX_RANDOM_BYTES)
