"""Health checks share responses; slow clients take a limited amount of memory and, for each sender, of the disk."""

import asyncio
import json
import threading
from io import BytesIO
from typing import Any

import pytest
from django.http import HttpResponse

from tests.waiting import TIMEOUT
from whatsai import known_browsers
from whatsai.server.application import FILE_BYTES, MAX_WAITING_LOGINS, MEDIA_READERS, Application
from whatsai.server.request_body import SpoolSpace
from whatsai.server.wsgi import respond

LOGIN = "/admin/login/"


def scope(path: str, method: str = "GET") -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "http_version": "1.1",
        "enter_stage": lambda _stage: None,
    }


def test_health_checks_at_once_share_one_response() -> None:
    calls, started, release = [], threading.Event(), threading.Event()

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        started.set()
        assert release.wait(TIMEOUT)
        start_response("200 OK", [])
        return [b"healthy"]

    async def get(application: Application) -> bytes:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        await application(scope("/health/"), receive, send)
        return b"".join(message.get("body", b"") for message in sent)

    async def run() -> list[bytes]:
        application = Application(wsgi, 1, 1)
        first = asyncio.create_task(get(application))
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        others = [asyncio.create_task(get(application)) for _ in range(50)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(run()) == [b"healthy"] * 51
    assert len(calls) == 1


def test_the_check_of_liveness_does_not_wait_for_the_check_of_readiness() -> None:
    started, release = threading.Event(), threading.Event()

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/readyz":
            started.set()
            assert release.wait(TIMEOUT)
        start_response("200 OK", [])
        return [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(_message: Any) -> None:
        return

    async def run() -> None:
        application = Application(wsgi, 1, 1)
        readiness = asyncio.create_task(application(scope("/readyz"), receive, send))
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        await asyncio.wait_for(application(scope("/healthz"), receive, send), TIMEOUT)
        assert not readiness.done()
        release.set()
        await readiness

    asyncio.run(run())


@pytest.mark.parametrize(("kind", "memory"), [("text", 1000), ("file", FILE_BYTES)])
def test_the_oldest_responses_end_if_slow_clients_keep_too_many_in_memory(kind: str, memory: int) -> None:
    """40 clients with one token, which did not read 13 MB each, took 600 MB for as long as they liked."""

    def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](BytesIO(b"x" * 1000)) if kind == "file" else [b"x" * 1000]

    async def run() -> None:
        application = Application(wsgi, 1, 10, max_sending_bytes=3 * memory)
        is_read, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def get() -> bytes:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b""}

            async def send(message: Any) -> None:
                waiting.release()
                await is_read.wait()
                sent.append(message)

            await application(scope("/"), receive, send)
            return b"".join(message.get("body", b"") for message in sent)

        requests = []
        for _ in range(5):
            requests.append(asyncio.create_task(get()))
            await waiting.acquire()
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*requests[:2]) == [b"", b""]
        is_read.set()
        assert await asyncio.gather(*requests[2:], get()) == [b"x" * 1000] * 4

    asyncio.run(run())


class Upload:
    """A request whose client sends its body in parts."""

    def __init__(self, application: Application, token: str) -> None:
        self._parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._is_wanted = asyncio.Event()
        self.status, self.headers = 0, dict[bytes, bytes]()
        request = scope("/webhooks/shop") | {"method": "POST", "headers": [(b"x-webhook-token", token.encode())]}
        self._task = asyncio.create_task(application(request, self._receive, self._answer))

    async def _receive(self) -> dict[str, Any]:
        if self._parts.empty():
            self._is_wanted.set()
        return await self._parts.get()

    async def _answer(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])

    async def send(self, size: int) -> "Upload":
        """Send a part, and wait until the application has received it and wants the next one."""
        self._is_wanted.clear()
        self._parts.put_nowait({"type": "http.request", "body": bytes(size), "more_body": True})
        await self._is_wanted.wait()
        return self

    async def end(self) -> int:
        """Send the end of the body, and return the status of the response."""
        self._parts.put_nowait({"type": "http.request"})
        await self._task
        return self.status


def test_the_unfinished_uploads_of_one_sender_leave_space_to_others() -> None:
    """One token held all space for 60 s, with uploads that it did not finish, so that all others got 503."""

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("100 Continue" if environ.get("webhooks.check_only") else "202 Accepted", [])
        return [environ["HTTP_X_WEBHOOK_TOKEN"].encode()]

    async def run() -> None:
        application = Application(wsgi, 1, 10, space=SpoolSpace(limit=800_000, sender_limit=200_000))
        unfinished = await Upload(application, "greedy").send(150_000)
        refused = await Upload(application, "greedy").send(100_000)
        assert (refused.status, refused.headers[b"Retry-After"]) == (503, b"5")
        assert await refused.end() == 503
        grown = await Upload(application, "other").send(100_000)
        assert await (await grown.send(100_000)).end() == 202
        assert await unfinished.end() == 202
        again = await Upload(application, "greedy").send(150_000)
        assert (await again.send(100_000)).status == 503
        assert await again.end() == 503

    asyncio.run(run())


class HungBucket:
    """A WSGI application that waits for a bucket which never answers, before the answer or while a file is read."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"].endswith("/thumbnail/"):
            self.read()
        is_media = environ["PATH_INFO"].endswith("/media/")
        return environ["wsgi.file_wrapper"](self if is_media else BytesIO(b"others"))

    def read(self, _size: int = -1) -> bytes:
        self.waiting.release()
        self.release.wait(TIMEOUT)
        return b""

    def close(self) -> None:
        return


async def get(application: Application, path: str, method: str = "GET", **extra: Any) -> bytes:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope(path, method) | extra, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(("file", "threads"), [("media", MEDIA_READERS), ("thumbnail", 2)])
def test_media_that_hang_leave_threads_to_others(file: str, threads: int) -> None:
    """All threads waited for the server of a bucket that accepted connections and never answered."""

    async def run() -> None:
        bucket = HungBucket()
        application = Application(bucket, 4, 1000)
        media = [asyncio.create_task(get(application, f"/api/v1/messages/{pk}/{file}/")) for pk in range(100)]
        for _ in range(threads):
            assert await asyncio.to_thread(bucket.waiting.acquire, timeout=TIMEOUT)
        try:
            for path in ("/static/x.css", "/api/v1/messages/"):
                assert await asyncio.wait_for(get(application, path), TIMEOUT / 2) == b"others"
        finally:
            bucket.release.set()
        await asyncio.gather(*media)

    asyncio.run(run())


class Busy:
    """A WSGI application whose answers to some paths take until they are released."""

    def __init__(self, *slow: str) -> None:
        self.slow = slow
        self.started = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] in self.slow:
            self.started.release()
            self.release.wait(TIMEOUT)
        return [b"answered"]


@pytest.mark.parametrize(
    ("count", "slow", "method", "threads", "quick"),
    [
        (8, "/api/v1/conversations/", "GET", 6, ("/webhooks/evolution/x", "//webhooks/evolution/x")),
        (8, "/admin/login/", "POST", 1, ("/webhooks/evolution/x", "/api/v1/conversations/", "/admin/")),
        (8, "/admin/password_change/", "POST", 1, ("/webhooks/evolution/x", "/api/v1/conversations/", "/admin/")),
        (3, "/api/v1/conversations/", "GET", 2, ("/webhooks/evolution/x",)),
        (2, "/api/v1/conversations/", "GET", 1, ("/webhooks/evolution/x",)),
    ],
)
def test_slow_requests_leave_threads_to_others(
    count: int, slow: str, method: str, threads: int, quick: tuple[str, ...]
) -> None:
    """Sixty failed logins at once, each of which hashes a password, kept webhooks waiting for ten seconds."""

    async def run() -> None:
        busy = Busy(slow)
        application = Application(busy, count, 100)
        requests = [asyncio.create_task(get(application, slow, method)) for _ in range(200)]
        for _ in range(threads):
            assert await asyncio.to_thread(busy.started.acquire, timeout=TIMEOUT)
        try:
            for path in quick:
                assert await asyncio.wait_for(get(application, path, "POST"), TIMEOUT / 2) == b"answered"
        finally:
            busy.release.set()
        answers = await asyncio.gather(*requests)
        assert 0 < answers.count(b"answered") < len(answers)

    asyncio.run(run())


def a_known_browser() -> dict[str, Any]:
    response = HttpResponse()
    known_browsers.remember(response, "admin")
    cookie = f"{known_browsers.COOKIE}={response.cookies[known_browsers.COOKIE].value}"
    return {"client": ("198.51.1.1", 1), "headers": [(b"cookie", cookie.encode())]}


@pytest.mark.parametrize(
    ("flood", "own"),
    [
        ("198.51.100.{}", {"client": ("192.0.2.1", 1)}),
        ("2001:db8:0:{}::1", {"client": ("2001:db8:1::1", 1)}),
        ("198.51.{}.1", a_known_browser()),
    ],
    ids=["one network", "one IPv6 network", "many networks and a known browser"],
)
def test_a_login_is_answered_whatever_flood_of_logins_waits(flood: str, own: dict[str, Any]) -> None:
    """All later logins were answered 503 while as many waited as may."""

    async def run() -> None:
        busy = Busy(LOGIN)
        application = Application(busy, 4, 100)
        addresses = [(flood.format(number), 1) for number in range(60)]
        others = [asyncio.create_task(get(application, LOGIN, "POST", client=address)) for address in addresses]
        assert await asyncio.to_thread(busy.started.acquire, timeout=TIMEOUT)
        last = asyncio.create_task(get(application, LOGIN, "POST", **own))
        await asyncio.sleep(0)
        busy.release.set()
        assert await last == b"answered"
        answers = await asyncio.gather(*others)
        assert answers.count(b"answered") == MAX_WAITING_LOGINS  # one runs, and one gave its place to the last

    asyncio.run(run())


@pytest.mark.parametrize(
    ("accepted", "detail"),
    [
        ("pt-BR,pt;q=0.9", "corpos multipart não são aceitos"),
        ("en", "multipart bodies are not accepted"),
        ("", "multipart bodies are not accepted"),  # LANGUAGE_CODE
        ("\xff;q=x,,", "multipart bodies are not accepted"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/conversations/", "/admin/"])
def test_a_refusal_is_in_the_language_of_the_client(path: str, accepted: str, detail: str) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        headers = [(b"content-type", b"multipart/form-data"), (b"accept-language", accepted.encode("latin-1"))]
        await Application(no_wsgi, 1, 10)({**scope(path, "POST"), "headers": headers}, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == 415
    language = "pt-br" if "corpos" in detail else "en"
    assert (b"Content-Language", language.encode()) in sent[0]["headers"]
    assert json.loads(b"".join(message.get("body", b"") for message in sent))["detail"] == detail


def no_wsgi(_environ: dict[str, Any], _start_response: Any) -> list[bytes]:
    raise ValueError


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/conversations/", {"title": "Erro interno do servidor", "code": "server_error"}),
        ("/admin/", {"error": "server_error"}),
        ("/webhooks/evolution/x", {"error": "server_error"}),
    ],
)
def test_a_failure_is_in_the_language_of_the_client(path: str, named: dict[str, str]) -> None:
    response = respond(no_wsgi, {"PATH_INFO": path, "HTTP_ACCEPT_LANGUAGE": "pt-BR"})
    assert (b"Content-Language", b"pt-br") in response.headers
    detail = {"detail": "O servidor falhou. A falha foi registrada nos logs."}
    assert (named | detail).items() <= json.loads(response.content).items()
