"""Views and URLs for the tests of the logging middleware."""

import asyncio
from collections.abc import Iterator
from threading import Thread

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from logs.binding import bind, bound, current, with_bindings
from logs.contexts import Context

log = Context.API.logger


def ok(_: HttpRequest) -> HttpResponse:
    log.info("in the view")
    return HttpResponse(str(current().get("request_id")))


def leftover(request: HttpRequest) -> HttpResponse:
    """Respond with the currently bound log fields, and bind a field without removing it again."""
    before = dict(current())
    bind(instance=request.GET["instance"])
    return HttpResponse(str(before))


def fail(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("no")


def gone(_: HttpRequest) -> HttpResponse:
    raise Http404


def stream(_: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        log.info("while it is sent")
        yield "x"

    return StreamingHttpResponse(parts())


def thread(_: HttpRequest) -> HttpResponse:
    one = Thread(target=with_bindings(log.info), args=("in a thread",))
    one.start()
    one.join()
    return HttpResponse()


async def asynchronous(_: HttpRequest) -> HttpResponse:
    with bound(instance="sales"):
        await asyncio.gather(*(asyncio.to_thread(log.info, "in a task") for _ in range(2)))
    await asyncio.sleep(0)
    return HttpResponse(str(current().get("request_id")))


urlpatterns = [
    path("ok/", ok), path("leftover/", leftover), path("fail/", fail), path("gone/", gone), path("stream/", stream),
    path("thread/", thread), path("async/", asynchronous), path("webhooks/fail/", fail), path("webhooks/ok/", ok),
]  # fmt: skip
