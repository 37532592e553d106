"""Middleware that answers each request in the language that its browser asks for, or else in `LANGUAGE_CODE`.

It does what Django's `LocaleMiddleware` does, with two differences. The language ends with the request, so that nothing
else that the thread does is translated, such as lines of the log. And only pages and errors vary with the language:
the data of the API are the same in every language, so that caches keep one copy of them.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

TRANSLATED = ("text/html", "application/problem+json")  # the types of content that contain translated text


def of_client(accept_language: str) -> translation.override:
    """Return a context in the language of a client, for answers that the server gives without Django."""
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accept_language
    return translation.override(translation.get_language_from_request(request))


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Activate the language of each request, and name it in the answer."""

    def answer(request: HttpRequest) -> HttpResponse:
        language = translation.get_language_from_request(request)
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = get_response(request)
        if response.headers.get("Content-Type", "").startswith(TRANSLATED):
            patch_vary_headers(response, ("Accept-Language",))
            response.headers.setdefault("Content-Language", language)
        return response

    return answer
