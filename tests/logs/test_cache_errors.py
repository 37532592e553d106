"""If the shared store does not answer a request, `cache-errors.log` contains the request and the stack."""

from pathlib import Path

import pytest

from tests import valkey
from tests.database_file import WriteDatabase
from tests.logs.test_end_to_end import CONTACTS, Server
from tests.valkey import Valkey

ATTEMPTS = 5  # number of attempts, because another thread may notice the silent store before the request does


@pytest.mark.once
def test_a_request_that_the_store_does_not_answer_logs_an_error_of_the_cache(
    tmp_path: Path, write_database: WriteDatabase
) -> None:
    with valkey.running() as store:
        server = Server(tmp_path, REDIS_URL=store.url)
        server.prepare(write_database)
        server.start()
        try:
            line = next(filter(None, (_ask_while_paused(server, store, place) for place in range(ATTEMPTS))))
        finally:
            server.stop()
    assert line["level"] == "WARN"
    assert "Traceback (most recent call last)" in line["exc_info"]
    assert "cachelayer/" in line["exc_info"]


def _ask_while_paused(server: Server, store: Valkey, place: int) -> dict[str, str] | None:
    """Pause the shared store and send a request; return the error line that the cache logs for the request, or None.

    A paused server keeps its connections open. The cache would see the end of a closed connection before the request.
    """
    as_user = {"Authorization": f"Token {server.api_token}"}
    assert server.ask("GET", f"{CONTACTS}-{place}", f"before-{place}", **as_user) == 200
    store.pause()
    assert server.ask("GET", f"{CONTACTS}--{place}", f"paused-{place}", **as_user) == 200
    store.resume()
    found = [line for line in server.lines("cache-errors.log") if line.get("request_id") == f"paused-{place}"]
    return found[0] if found else None
