"""An answer is that of the question asked, whatever happened on the connection before."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import exceptions

from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import MAX_CONCURRENT, RedisTransport, Script
from tests.cachelayer.conftest import full, on_server, wait_until
from tests.cachelayer.test_faults import a_replica
from tests.valkey import Valkey

ECHO = Script("return ARGV[1]")
WRITE = Script("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture(params=["unix", "tcp"])
def wire(request: pytest.FixtureRequest, server: Valkey, settings: Any) -> Iterator[RedisTransport]:
    """A wire of its own on the connections of `CACHES`: redis-py treats the two ways to a server differently."""
    if request.param == "tcp":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server.client.config_set("port", port)
        on_server(settings, f"redis://127.0.0.1:{port}/0")
    store = get_runtime().store
    assert isinstance(store, RedisStore)
    yield RedisTransport(store._client, [ECHO, WRITE], get_runtime().counters.count)  # noqa: SLF001 - the connections that django-redis holds
    store._client.connection_pool.disconnect()  # noqa: SLF001 - as above


def connection_of(wire: RedisTransport) -> Any:
    """The connection that the next command will be sent on."""
    pool = wire._pool  # noqa: SLF001 - what is looked at is what is in there
    connection = pool.get_connection()
    pool.release(connection)
    return connection


def test_commands_are_answered(wire: RedisTransport) -> None:
    assert wire.execute("SET", "a", b"\x00\xff\r\n") == b"OK"
    assert wire.execute("GET", "a") == b"\x00\xff\r\n"
    assert wire.pipeline([("GET", "a"), ("GET", "é"), ("SET", "é", 7), ("GET", "é")]) == [
        *(b"\x00\xff\r\n", None, b"OK", b"7")
    ]
    assert wire.eval(ECHO, [], ["said"]) == b"said"


def test_an_answer_that_nobody_took_is_nobodys(wire: RedisTransport) -> None:
    connection = connection_of(wire)
    connection.send_command("ECHO", "of another question")
    wait_until(connection.can_read)
    assert wire.execute("ECHO", "mine") == b"mine"


def test_who_is_interrupted_leaves_no_answer_behind(wire: RedisTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connection_of(wire)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wire.execute("ECHO", "of another question")
    assert wire.execute("ECHO", "mine") == b"mine"


def test_an_error_among_several_answers_is_raised_and_the_others_are_taken(wire: RedisTransport) -> None:
    wire.execute("SET", "text", "a")
    with pytest.raises(StoreDown, match="not an integer"):
        wire.pipeline([("ECHO", "1"), ("INCR", "text"), ("ECHO", "3")])
    assert wire.execute("ECHO", "mine") == b"mine"


def test_a_connection_that_the_server_closed_is_made_anew(wire: RedisTransport, server: Valkey) -> None:
    wire.execute("SET", "a", 1)
    server.client.client_kill_filter(_type="normal", skipme=True)
    assert wire.execute("GET", "a") == b"1"
    server.client.client_kill_filter(_type="normal", skipme=True)
    assert wire.eval(ECHO, [], ["said"]) == b"said"


def test_a_server_that_is_gone_is_down(wire: RedisTransport, server: Valkey) -> None:
    server.stop()
    with pytest.raises(StoreDown) as caught:
        wire.execute("GET", "a")
    assert not isinstance(caught.value, StoreSlow)


def test_a_server_that_hangs_is_slow_and_what_it_says_later_is_nobodys(wire: RedisTransport, server: Valkey) -> None:
    wire.execute("SET", "a", 1)
    server.pause()
    try:
        for _ in range(2):
            with pytest.raises(StoreSlow):
                wire.execute("ECHO", "of another question")
    finally:
        server.resume()
    assert wire.execute("GET", "a") == b"1"


def test_a_crowd_asks_a_few_at_a_time(wire: RedisTransport, server: Valkey) -> None:
    """A hundred connections made at one moment would keep one another from being answered in time."""
    crowd, before = 100, server.client.info("stats")["total_connections_received"]
    barrier = threading.Barrier(crowd)

    def ask(number: int) -> Any:
        barrier.wait()
        return wire.execute("ECHO", number)

    with ThreadPoolExecutor(crowd) as threads:
        assert list(threads.map(ask, range(crowd))) == [b"%d" % number for number in range(crowd)]
    assert server.client.info("stats")["total_connections_received"] - before <= MAX_CONCURRENT


def test_a_script_that_the_server_forgot_is_loaded_again(wire: RedisTransport, server: Valkey) -> None:
    wire.eval(ECHO, [], ["said"])
    server.client.script_flush()
    assert wire.eval(ECHO, [], ["said"]) == b"said"


def test_a_full_server_runs_what_it_must(wire: RedisTransport, server: Valkey) -> None:
    with full(server):
        with pytest.raises(StoreFull):
            wire.execute("SET", "a", 1)
        with pytest.raises(StoreFull):
            wire.pipeline([("GET", "a"), ("SET", "a", 1), ("GET", "a")])
        connection_of(wire).disconnect()  # the next one is new
        assert wire.eval(WRITE, ["a"], ["1"]) == b"OK"
        assert wire.execute("GET", "a") == b"1"


# --- without waiting for an answer ------------------------------------------------------------------------------------
def test_what_is_posted_comes_before_what_is_asked_next(wire: RedisTransport) -> None:
    wire.eval(WRITE, ["a"], ["0"])
    for number in range(50):
        wire.eval_no_reply(WRITE, ["a"], [str(number)])
        assert wire.execute("GET", "a") == b"%d" % number


def test_what_was_posted_on_a_dead_connection_is_run_by_the_store_on_another(server: Valkey) -> None:
    store = get_runtime().store
    store.begin(b"w" * 16, ["instance:1"])
    server.pause()
    try:
        store.end(b"w" * 16, ["instance:1"])
        connection_of(store._transport)._sock.close()  # type: ignore[attr-defined]  # noqa: SLF001 - it dies before it is read
    finally:
        server.resume()
    (state,) = store.read([], ["instance:1"])[1]
    assert state is not None
    assert not state.startswith(b"!")


def test_a_server_that_does_not_let_us_skip_answers_is_refused(server: Valkey, settings: Any) -> None:
    """Its refusals would be taken for the answers to what is asked next."""
    server.client.execute_command("ACL", "SETUSER", "ana", "on", ">secret", "~*", "&*", "+@all", "-client|reply")
    on_server(settings, server.url.replace("unix://", "unix://ana:secret@"))
    with pytest.raises(StoreDown, match=r"client\|reply") as caught:
        get_runtime().store.reinitialize(quarantine=False)
    assert isinstance(caught.value.__cause__, exceptions.NoPermissionError)


def test_a_server_that_became_a_replica_is_left_by_all_and_nobody_is_interrupted(
    wire: RedisTransport, server: Valkey
) -> None:
    """The next connection may lead to another server; one that is in use elsewhere is not to vanish under its user."""
    asked, go_on, used = threading.Event(), threading.Event(), []

    def slowly(connection: Any) -> Any:
        used.append(connection)
        connection.send_command("ECHO", "mine")
        asked.set()
        go_on.wait()
        return connection.read_response()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(wire._with_connection, slowly)  # noqa: SLF001 - a command that takes as long as is needed
        asked.wait()
        used.append(connection_of(wire))
        with a_replica(server):
            try:
                with pytest.raises(StoreDown, match="ReadOnlyError"):
                    wire.execute("SET", "a", 1)
            finally:
                go_on.set()
            assert other.result() == b"mine"
            assert [connection._sock for connection in used] == [None, None]  # noqa: SLF001 - is it connected?
