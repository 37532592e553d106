"""Health checks share responses, and responses that clients do not read take a limited amount of memory."""

import asyncio
import threading
from io import BytesIO
from typing import Any

import pytest

from tests.waiting import TIMEOUT
from whatsai.server.application import FILE_BYTES, Application


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
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
