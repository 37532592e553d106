"""A server that does not answer is left alone for a while, then one asks; few requests wait for it at once."""

import threading
from contextlib import ExitStack, suppress

import pytest

from conversations.media import remote_server
from conversations.media.remote_server import AWAY_SECONDS, MAX_OWNED, MAX_QUEUED, MAX_WAITING, RemoteServer
from tests.waiting import wait_until


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> RemoteServer:
    return RemoteServer(clock)


def ask(server: RemoteServer, error: Exception | None = None, owner: str = "") -> str:
    """Return what came of a request whose answer is `error`."""
    try:
        with server.asking(owner):
            if error is not None:
                raise error
    except OSError as raised:
        return str(raised)
    return "answered"


def test_a_server_that_does_not_answer_is_asked_again_by_one_after_a_while(server: RemoteServer, clock: Clock) -> None:
    assert ask(server, ConnectionError("timeout")) == "timeout"
    assert ask(server) == remote_server.AWAY
    clock.now += AWAY_SECONDS
    with server.asking():
        assert ask(server) == remote_server.AWAY, "only one asks"
    assert ask(server) == "answered"


def test_a_server_that_stays_away_is_asked_by_one_at_a_time(server: RemoteServer, clock: Clock) -> None:
    for _ in range(3):
        assert ask(server, ConnectionError("timeout")) == "timeout"
        assert ask(server) == remote_server.AWAY
        clock.now += AWAY_SECONDS


@pytest.mark.parametrize("error", [OSError("denied"), FileNotFoundError("no file")])
def test_an_error_is_an_answer(server: RemoteServer, error: OSError) -> None:
    assert ask(server, error) == str(error)
    assert ask(server) == "answered"


def test_few_requests_wait_at_once(server: RemoteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_server, "PLACE_SECONDS", 0.0)
    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(server.asking(f"other {number}"))
        assert ask(server) == remote_server.BUSY
    assert ask(server) == "answered"


def test_one_owner_leaves_a_place_to_others(server: RemoteServer, clock: Clock) -> None:
    """An instance that sent long videos held all places, so that the media of all others were refused."""
    with ExitStack() as waiting:
        for _ in range(MAX_OWNED):
            waiting.enter_context(server.asking("1"))
        clock.now += 3600.0
        assert ask(server, owner="1") == remote_server.BUSY
        assert ask(server, owner="2") == "answered"
    assert ask(server, owner="1") == "answered"


def test_nobody_waits_for_a_place_once_the_server_is_slow(
    server: RemoteServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Webhooks with media, which waited for a second each, held all other threads for 7 s."""
    monkeypatch.setattr(remote_server, "PLACE_SECONDS", 3600.0)
    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(server.asking(f"other {number}"))
        clock.now += 3600.0
        assert ask(server) == remote_server.BUSY


def test_a_request_waits_for_others_to_be_answered(server: RemoteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_server, "PLACE_SECONDS", 60.0)
    answers: list[str] = []
    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(server.asking(f"other {number}"))
        thread = threading.Thread(target=lambda: answers.append(ask(server)))
        thread.start()
    thread.join()
    assert answers == ["answered"]


def test_one_request_for_the_files_of_each_of_few_owners_waits_for_a_place(
    server: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sender held all threads, so that texts of all others waited for 20 s, and their media were refused."""
    monkeypatch.setattr(remote_server, "HESITATION_SECONDS", 0.0)
    monkeypatch.setattr(remote_server, "PLACE_SECONDS", 60.0)
    answers: list[str] = []

    def ask_for(owner: str) -> threading.Thread:
        def run() -> None:
            with suppress(OSError), server.asking(owner):
                answers.append(owner)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(server.asking(f"other {number}"))
        threads = [ask_for("1"), ask_for("2")]
        wait_until(lambda: server.queued == MAX_QUEUED)
        for owner in ("1", "2", "3"):
            ask_for(owner).join()  # it does not wait
        assert answers == []
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["1", "2"]


def test_a_server_that_answers_refuses_no_album(server: RemoteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight photos of one instance at once, three were refused although each took 30 ms."""
    monkeypatch.setattr(remote_server, "HESITATION_SECONDS", 60.0)
    monkeypatch.setattr(remote_server, "PLACE_SECONDS", 60.0)
    answers: list[str] = []
    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(server.asking(f"other {number}"))
        threads = [threading.Thread(target=lambda: answers.append(ask(server))) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.queued == 1)
    for thread in threads:
        thread.join()
    assert answers == ["answered"] * 4
