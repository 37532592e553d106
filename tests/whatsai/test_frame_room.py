import resource
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from whatsai.frame_room import middleware

CALLS = 2_000


def at_depth(depth: int, function: Callable[[], Any]) -> Any:
    return at_depth(depth - 1, function) if depth else function()


def call_often() -> None:
    for _ in range(CALLS):
        at_depth(0, int)


def test_calls_cost_no_page_faults_at_any_depth() -> None:
    for depth in range(300):

        def view(_request: HttpRequest, depth: int = depth) -> HttpResponse:
            at_depth(depth, call_often)
            return HttpResponse()

        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        middleware(view)(HttpRequest())
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < CALLS / 2


def test_all_requests_pass_it_first() -> None:
    assert settings.MIDDLEWARE[0] == "whatsai.frame_room.middleware"
