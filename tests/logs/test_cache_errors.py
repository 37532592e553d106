"""If a request loses the connection to the shared store, `cache-errors.log` contains the request and the stack."""

from pathlib import Path

import pytest

from tests import valkey
from tests.database_file import WriteDatabase
from tests.logs.test_end_to_end import CONTACTS, Server
from tests.valkey import Valkey

ATTEMPTS = 5  # number of attempts, because the cache may notice the loss before the request does


@pytest.mark.once
def test_a_request_that_loses_the_store_logs_an_error_of_the_cache(
    tmp_path: Path, write_database: WriteDatabase
) -> None:
    with valkey.running() as store:
        server = Server(tmp_path, REDIS_URL=store.url)
        server.prepare(write_database)
        server.start()
        try:
            line = next(filter(None, (_cut_off_during_a_request(server, store, place) for place in range(ATTEMPTS))))
        finally:
            server.stop()
    assert line["level"] == "WARN"
    assert "Traceback (most recent call last)" in line["exc_info"]
    assert "cachelayer/" in line["exc_info"]


def _cut_off_during_a_request(server: Server, store: Valkey, place: int) -> dict[str, str] | None:
    """Stop the shared store and send a request; return the error line that the cache logs for the request, or None."""
    as_user = {"Authorization": f"Token {server.api_token}"}
    assert server.ask("GET", f"{CONTACTS}-{place}", f"before-{place}", **as_user) == 200
    store.kill()
    assert server.ask("GET", f"{CONTACTS}--{place}", f"cut-{place}", **as_user) == 200
    store.start()
    found = [line for line in server.lines("cache-errors.log") if line.get("request_id") == f"cut-{place}"]
    return found[0] if found else None
