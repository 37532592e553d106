"""Health checks that arrive while one runs get its response."""

import asyncio
import threading
from typing import Any

from tests.waiting import TIMEOUT
from whatsai.server.application import Application


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
