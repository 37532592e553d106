"""A store that goes away under the real application: who asked meanwhile is in the cache's errors, with the stack."""

import pytest

from tests import valkey
from tests.logs.test_end_to_end import CONTACTS, Server
from tests.valkey import Valkey

ATTEMPTS = 5  # for the cache may notice by itself, before anybody asks


@pytest.mark.postgresql
def test_a_request_without_an_answer_is_an_error_of_the_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    with valkey.running() as store:
        server = Server(tmp_path_factory.mktemp("store"), REDIS_URL=store.url)
        server.prepare()
        server.start()
        try:
            told = next(filter(None, (_told(server, store, place) for place in range(ATTEMPTS))))
        finally:
            server.stop()
    assert told["level"] == "WARN"
    assert "Traceback (most recent call last)" in told["exc_info"]
    assert "cachelayer/" in told["exc_info"]


def _told(server: Server, store: Valkey, place: int) -> dict[str, str] | None:
    """Take the store away from a request; return what the cache said of that, if it did not know before."""
    as_user = {"Authorization": f"Token {server.api_token}"}
    assert server.ask("GET", f"{CONTACTS}-{place}", f"before-{place}", **as_user) == 200
    store.kill()
    assert server.ask("GET", f"{CONTACTS}--{place}", f"cut-{place}", **as_user) == 200
    store.start()
    found = [line for line in server.lines("cache-errors.log") if line.get("request_id") == f"cut-{place}"]
    return found[0] if found else None
