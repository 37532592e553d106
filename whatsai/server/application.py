"""The ASGI application of the server: receives whole requests and runs the WSGI application in threads.

A thread starts when a request is complete, and is free when its response is; a slow client costs no thread. Health
checks have threads of their own, so that they are answered while all other threads are busy. Webhooks may have all
other threads, and other requests a share of them, so that no other request delays a webhook. Requests are refused
before so many run that a health check would find no free connection.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from wsgiref.types import WSGIApplication

from django.core.handlers.wsgi import WSGIRequest
from django.utils.translation import gettext_noop as _

from conversations.api.change_feed import ChangeFeed
from conversations.api.client_address import neighbourhood
from conversations.changes.following import FOLLOW, Subscription
from conversations.webhooks.body import CHECK_ONLY, MAX_BYTES
from whatsai import health, language
from whatsai.known_browsers import signed_value
from whatsai.server.event_stream import stream_head
from whatsai.server.fair_queue import FairQueue, Sender
from whatsai.server.followers import Followers
from whatsai.server.request_body import (
    MEMORY_BYTES,
    SECONDS,
    BodyError,
    Message,
    Receive,
    RequestBody,
    SpoolSpace,
    too_large,
)
from whatsai.server.sending import SendingMemory
from whatsai.server.stage import Stage
from whatsai.server.threads import RequestThreads, Share, TooManyRequestsError
from whatsai.server.wsgi import Response, Scope, build_environ, error_response, respond

Send = Callable[[Message], Awaitable[None]]

# Paths of files that may be in a bucket: their requests wait for its server.
MEDIA = re.compile(r"/api/v1/messages/[0-9]+/(media|thumbnail)/?", re.ASCII)
MAX_WAITING_MEDIA = 200  # requests for media that may wait for a thread; a page shows a hundred pictures
# Each form that is sent there hashes a password, which takes half a second of a processor.
PASSWORD_PAGES = frozenset({"/admin/login/", "/admin/password_change/"})
MAX_WAITING_LOGINS = 20
MEDIA_READERS = 4  # threads that read media which are being sent
WEBHOOKS = re.compile(rb"/+webhooks/")  # their bodies may have `MAX_BYTES`
OTHER_MAX_BYTES = MEMORY_BYTES - 1  # for all other paths: what anybody may send takes no space on the disk
CHUNK_BYTES = 64 * 1024  # of a response, written at once
FILE_BYTES = 2 * CHUNK_BYTES  # of memory for a file that is being sent: one chunk, and what the connection holds of it
CHUNK_SECONDS = 30  # for a client to take one chunk of a response
MAX_SENDING_BYTES = 128 * 1024 * 1024  # of responses whose clients read slowly; the oldest of more end
DRAIN_SECONDS = 5  # how long the rest of a refused body is read, so that its client can read the response
HEALTH_METHODS = ("GET", "HEAD")
CONTINUE = 100  # status of the application's answer to a check, whose content is the key of the sender


class Application:
    """An ASGI application around a WSGI application.

    Args:
        wsgi: the WSGI application.
        threads: the number of threads that run requests.
        max_requests: the number of requests that may run or wait for a thread at once, without health checks.
        max_sending_bytes: the bytes of memory that the responses which are being sent may take.
        max_followers: the number of event streams that may be open, and of requests that may wait for changes.
        space: the space on the disk for the bodies that are being received.
    """

    def __init__(  # noqa: PLR0913 - each is a limit of its own
        self,
        wsgi: WSGIApplication,
        threads: int,
        max_requests: int,
        *,
        max_sending_bytes: int = MAX_SENDING_BYTES,
        space: SpoolSpace | None = None,
        max_followers: int = 100,
    ) -> None:
        self._wsgi = wsgi
        self._threads = RequestThreads("request", threads, max_requests)
        # One thread for each check: the check of liveness must not wait for a database.
        self._health_threads = {
            name: RequestThreads(name, 1, len(HEALTH_METHODS)) for name in set(health.PATHS.values())
        }
        self._checks: dict[tuple[str, str], asyncio.Future[Response]] = {}  # the latest of each check and method
        # What is no webhook leaves a quarter of the threads, at least one, and of the waiting requests to webhooks.
        self._others = Share(self._threads, max(1, threads - max(1, threads // 4)), max_requests * 3 // 4)
        self._media = Share(self._others, max(1, threads // 2), MAX_WAITING_MEDIA)
        self._logins = FairQueue(self._others, MAX_WAITING_LOGINS)
        self._media_readers = ThreadPoolExecutor(MEDIA_READERS, thread_name_prefix="media")
        health.watch(self._threads)
        self._space = space or SpoolSpace()
        self._sending = SendingMemory(max_sending_bytes)
        self._followers = Followers(ChangeFeed(), max_followers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)

    def stop(self) -> None:
        """End all event streams, and answer the requests that wait for changes; other requests go on."""
        self._followers.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        check = health.PATHS.get(scope["path"]) if scope["method"] in HEALTH_METHODS else None
        with RequestBody(receive, self._space) as body:
            try:
                response = await self._receive_and_respond(scope, body, check)
                response = await self._wait_for_change(response, scope, body)
            except BodyError as error:
                response = _refusal(scope, error)
            except TooManyRequestsError:
                text = _("too many requests at once; send it again later")
                response = _refusal(scope, BodyError(503, "overloaded", text))
            except OSError as error:
                text = _("cannot store the body: %(error)s")
                response = _refusal(scope, BodyError(503, "overloaded", text, error=error.strerror))
        if response.subscription is not None and response.subscription.is_stream:
            head = stream_head(response.headers, response.content)
            self._followers.open_stream(response.subscription, scope["detach"](), head)
            return
        try:
            async with self._sending.limit(FILE_BYTES if response.file else len(response.content)):
                await _send(response, send, self._media_readers if _is_media(scope) else None)
            if not body.is_complete:
                await _drain(receive)
        except TimeoutError:
            return  # the client is too slow, or others need the memory; the server closes the connection

    async def _receive_and_respond(self, scope: Scope, body: RequestBody, check: health.Check | None) -> Response:
        is_large_allowed = _is_webhook(scope)
        if not is_large_allowed and _header(scope, b"content-type").lower().startswith(b"multipart/"):
            raise BodyError(415, "unsupported_media_type", _("multipart bodies are not accepted"))
        limit = MAX_BYTES if is_large_allowed else OTHER_MAX_BYTES
        if _content_length(scope) > limit:
            raise too_large(limit)
        await body.receive(until=min(limit + 1, MEMORY_BYTES), limit=limit)
        if not body.is_complete:
            # Only an authenticated sender may make this process receive a large body.
            checked = await self._run(scope, body, check, **{CHECK_ONLY: True})
            if checked.status != CONTINUE:
                return checked
            body.count_for(checked.content)  # no header names the sender: clients send and receive headers
            await body.receive(until=limit + 1, limit=limit, seconds=SECONDS)
        return await self._run(scope, body, check)

    async def _run(self, scope: Scope, body: RequestBody, check: health.Check | None, **extra: object) -> Response:
        body.file.seek(0)
        followed: list[Subscription] = []

        def follow(subscription: Subscription) -> None:
            self._followers.admit(subscription)
            followed.append(subscription)

        environ = build_environ(scope, body.file, body.size, **{FOLLOW: follow}, **extra)
        scope["enter_stage"](Stage.THREAD)
        try:
            if check is not None:
                response = await self._check_health(check, scope["method"], environ)
            elif scope["path"] in PASSWORD_PAGES and scope["method"] == "POST":
                response = await self._logins.run(_sender_of_password(environ), respond, self._wsgi, environ)
            else:
                response = await self._threads_for(scope).run(respond, self._wsgi, environ)
        finally:
            scope["enter_stage"](Stage.CLIENT)
        body.file.seek(0, 2)
        response.subscription = followed[0] if followed and response.status == HTTPStatus.OK else None
        return response

    def _threads_for(self, scope: Scope) -> RequestThreads | Share:
        if _is_webhook(scope):
            return self._threads
        return self._media if _is_media(scope) else self._others

    async def _wait_for_change(self, response: Response, scope: Scope, body: RequestBody) -> Response:
        """Return the response of a request that waits for a change: after the change, or when its time is over."""
        loop = asyncio.get_running_loop()
        started_at, first = loop.time(), response
        while (subscription := response.subscription) is not None and subscription.seconds is not None:
            if subscription.has_changes:
                await asyncio.sleep(subscription.seconds if response is first else 0)
                break
            if not await self._followers.wait(subscription, started_at + subscription.seconds - loop.time()):
                break
            response = await self._run(scope, body, None)
        return response

    async def _check_health(self, check: health.Check, method: str, environ: dict[str, Any]) -> Response:
        """Answer all checks that arrive while one runs with its response, so that a flood of them delays none."""
        running = self._checks.get((check, method))
        if running is None or running.done():
            running = asyncio.ensure_future(self._health_threads[check].run(respond, self._wsgi, environ))
            self._checks[check, method] = running
        return await asyncio.shield(running)


def _is_webhook(scope: Scope) -> bool:
    return WEBHOOKS.match(scope["raw_path"]) is not None


def _is_media(scope: Scope) -> bool:
    return MEDIA.fullmatch(scope["path"]) is not None


def _sender_of_password(environ: dict[str, Any]) -> Sender:
    """Return whose turn a login takes: that of a browser in which somebody has logged in before, or of a network."""
    request = WSGIRequest(environ)
    browser = signed_value(request)
    return Sender(browser or neighbourhood(request), is_known=bool(browser))


def _content_length(scope: Scope) -> int:
    return int(_header(scope, b"content-length") or 0)


def _header(scope: Scope, searched: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == searched), b"")


async def _send(response: Response, send: Send, readers: Executor | None) -> None:
    """Send a response, whose file some threads read; give up if the client takes a chunk too slowly."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    if response.file is None:
        for start in range(0, len(response.content), CHUNK_BYTES):
            await _send_chunk(response.content[start : start + CHUNK_BYTES], send)
    else:
        await _send_file(response.file, send, readers)
    await send({"type": "http.response.body"})


async def _send_file(file: Any, send: Send, readers: Executor | None) -> None:
    loop = asyncio.get_running_loop()
    try:
        while chunk := await loop.run_in_executor(readers, file.read, CHUNK_BYTES):
            await _send_chunk(chunk, send)
    finally:
        await loop.run_in_executor(readers, file.close)


async def _send_chunk(chunk: bytes, send: Send) -> None:
    async with asyncio.timeout(CHUNK_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _drain(receive: Receive) -> None:
    """Read and drop the rest of a body: closing a connection with unread data would destroy the response."""
    async with asyncio.timeout(DRAIN_SECONDS):
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass


def _refusal(scope: Scope, error: BodyError) -> Response:
    headers = [(b"Retry-After", b"5")] if error.status == HTTPStatus.SERVICE_UNAVAILABLE else []
    with language.of_client(_header(scope, b"accept-language").decode("latin-1")):
        return error_response(scope["path"], error.status, error.code, error.translated, *headers)
