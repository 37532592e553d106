"""Limits the requests of a token and, without a token, of an address (the setting `API_RATE_LIMITS`).

Each answer tells what is left, in the header fields of draft-ietf-httpapi-ratelimit-headers-10. The counts are in the
memory of this process, so that a limit costs no round trip. Each of N server processes permits a share of 1/N, so all
together never permit more than the limit.
"""

from collections.abc import Callable
from math import ceil, floor

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from conversations.api.authentication import bearer_of_request, request_token
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
        if not any(settings.API_RATE_LIMITS.values()):
            return get_response(request)
        policy = name, _ = policy_of(request)
        limit = settings.API_RATE_LIMITS[name]
        if not limit:
            return get_response(request)
        taken = buckets.try_take(policy, limit / WINDOW / settings.WEB_PROCESSES)
        response = get_response(request) if taken.has_token else refusal(taken)
        response["RateLimit-Policy"] = f'"{name}";q={floor(taken.capacity)};w={WINDOW:.0f}'
        response["RateLimit"] = f'"{name}";r={floor(taken.tokens)};t={ceil(taken.seconds_to_full)}'
        return response

    return answer


def policy_of(request: HttpRequest) -> tuple[str, int | str]:
    """Return the name of the limit that a request counts for, and the key of its bucket.

    Only a right token has a limit of its own; otherwise each guess would have one. A token without a bucket is looked
    up. One with a bucket is not, because it was right once.
    """
    token = request_token(request.META.get("HTTP_AUTHORIZATION", ""))
    policy = "token", hash(token)
    if token and (policy in buckets or bearer_of_request(request, token)):
        return policy
    return "address", client_network(request)


def refusal(taken: Taken) -> HttpResponse:
    """Return the answer to a request beyond the limit."""
    wait = max(ceil(taken.seconds_to_token), 1)
    content = problem(429, _("Too many requests. Ask again in %(seconds)d s.") % {"seconds": wait})
    return problem_response(content, {"Retry-After": str(wait)})
