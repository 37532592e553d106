"""Limits the requests of a token and, without a token, of an address (the setting `API_RATE_LIMITS`).

Each answer tells what is left, in the header fields of draft-ietf-httpapi-ratelimit-headers-10. The counts are in the
memory of this process, so that a limit costs no round trip: N server processes permit up to N times the requests.
"""

from collections.abc import Callable
from math import ceil, floor

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from conversations.api.authentication import request_token
from conversations.api.client_address import client_network
from conversations.api.problems import problem, problem_response
from logs.fork import after_fork
from logs.token_buckets import Taken, TokenBuckets

PREFIX = "/api/"
WINDOW = 60.0  # seconds; the requests of one window may arrive at once
buckets = TokenBuckets(WINDOW)
after_fork(buckets.reset)

GetResponse = Callable[[HttpRequest], HttpResponse]


def middleware(get_response: GetResponse) -> GetResponse:
    """Answer 429 to the requests beyond the limits, and add the header fields to all answers of the API."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        name, key = policy_of(request)
        limit = settings.API_RATE_LIMITS[name]
        if not limit:
            return get_response(request)
        taken = buckets.try_take((name, key), limit / WINDOW)
        response = get_response(request) if taken.has_token else refusal(taken)
        response["RateLimit-Policy"] = f'"{name}";q={floor(taken.capacity)};w={WINDOW:.0f}'
        response["RateLimit"] = f'"{name}";r={floor(taken.tokens)};t={ceil(taken.seconds_to_full)}'
        return response

    return answer


def policy_of(request: HttpRequest) -> tuple[str, int | str]:
    """Return the name of the limit that a request counts for, and the key of its bucket.

    A token is not looked up here; wrong tokens are limited by `conversations.api.authentication`. Whatever else the
    header contains gives no limit of its own, because nobody refuses it.
    """
    token = request_token(request.META.get("HTTP_AUTHORIZATION", ""))
    return ("token", hash(token)) if token else ("address", client_network(request))


def refusal(taken: Taken) -> HttpResponse:
    """Return the answer to a request beyond the limit."""
    wait = max(ceil(taken.seconds_to_token), 1)
    content = problem(429, f"Too many requests. Ask again in {wait} s.")
    return problem_response(content, {"Retry-After": str(wait)})
