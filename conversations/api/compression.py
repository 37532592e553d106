"""Compresses large answers for clients that accept gzip.

Django's compressor adds random bytes, so that the length of an answer tells nothing about a secret in it. The `ETag` of
a compressed answer is weak, because its bytes differ each time. Files of messages are sent as they are.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

MIN_BYTES = 1400  # a shorter answer fits into one packet
TEXTS = ("application/json", "application/problem+json", "application/vnd.oai.openapi", "text/")


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Compress the texts that are long enough."""
    gzip = GZipMiddleware(get_response)

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_compressible(response):
            gzip.process_response(request, response)
        return response

    return answer


def is_compressible(response: HttpResponse) -> bool:
    """Return whether a response is a text that compression makes shorter."""
    is_text = response.headers.get("Content-Type", "").startswith(TEXTS)
    return is_text and not response.streaming and len(response.content) >= MIN_BYTES
