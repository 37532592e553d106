"""Each Redis command gets its own reply, whatever happened on the connection before."""

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
from cachelayer.stores.transport import MAX_CONCURRENT, MAX_POSTED, RedisTransport, Script
from tests.cachelayer.conftest import out_of_memory, store_timeout, use_redis
from tests.cachelayer.test_faults import a_replica
from tests.valkey import Valkey
from tests.waiting import wait_until

ECHO = Script("return ARGV[1]")
WRITE = Script("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])")
WRITE_AGAIN = Script("#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], 'again')")


@pytest.fixture(params=["unix", "tcp"])
def transport(request: pytest.FixtureRequest, valkey_server: Valkey, settings: Any) -> Iterator[RedisTransport]:
    """A Redis transport, once over a Unix socket and once over TCP, because redis-py treats the two differently."""
    if request.param == "tcp":
        with socket.socket() as free_socket:
            free_socket.bind(("127.0.0.1", 0))
            port = free_socket.getsockname()[1]
        valkey_server.client.config_set("port", port)
        use_redis(settings, f"redis://127.0.0.1:{port}/0", store_timeout(request))
    store = get_runtime().store
    assert isinstance(store, RedisStore)
    yield RedisTransport(store._client, [ECHO, WRITE, WRITE_AGAIN], get_runtime().counters.count)  # noqa: SLF001 - the test needs the client of django-redis
    store._client.connection_pool.disconnect()  # noqa: SLF001 - the test closes the connections of django-redis


def next_connection(transport: RedisTransport) -> Any:
    """Return the connection that the next command of the transport will use."""
    idle = transport._idle  # noqa: SLF001 - no public method returns the connection
    if not idle:
        transport.execute("PING")
    return idle[-1]


def test_commands_return_their_replies(transport: RedisTransport) -> None:
    assert transport.execute("SET", "a", b"\x00\xff\r\n") == b"OK"
    assert transport.execute("GET", "a") == b"\x00\xff\r\n"
    assert transport.pipeline([("GET", "a"), ("GET", "é"), ("SET", "é", 7), ("GET", "é")]) == [
        *(b"\x00\xff\r\n", None, b"OK", b"7")
    ]
    assert transport.eval(ECHO, [], ["text"]) == b"text"


def test_an_unread_reply_is_not_taken_for_the_next_one(transport: RedisTransport) -> None:
    connection = next_connection(transport)
    connection.send_command("ECHO", "reply to another command")
    wait_until(connection.can_read)
    assert transport.execute("ECHO", "expected") == b"expected"


def test_an_interrupted_command_leaves_no_reply_behind(transport: RedisTransport) -> None:
    def send_and_be_interrupted(connection: Any) -> None:
        connection.send_command("ECHO", "reply to another command")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transport._with_connection(send_and_be_interrupted)  # noqa: SLF001 - the test controls when the interrupt comes
    assert transport.execute("ECHO", "expected") == b"expected"


def test_an_error_in_a_pipeline_is_raised_after_all_replies_were_read(transport: RedisTransport) -> None:
    transport.execute("SET", "text", "a")
    with pytest.raises(StoreDown, match="not an integer"):
        transport.pipeline([("ECHO", "1"), ("INCR", "text"), ("ECHO", "3")])
    assert transport.execute("ECHO", "expected") == b"expected"


def test_a_connection_that_the_server_closed_is_reopened(transport: RedisTransport, valkey_server: Valkey) -> None:
    transport.execute("SET", "a", 1)
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)
    assert transport.execute("GET", "a") == b"1"
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)
    assert transport.eval(ECHO, [], ["text"]) == b"text"


def test_a_stopped_server_is_down_and_not_slow(transport: RedisTransport, valkey_server: Valkey) -> None:
    valkey_server.kill()
    with pytest.raises(StoreDown) as caught:
        transport.execute("GET", "a")
    assert not isinstance(caught.value, StoreSlow)


@pytest.mark.short_timeouts
def test_a_paused_server_is_slow_and_its_late_replies_are_discarded(
    transport: RedisTransport, valkey_server: Valkey
) -> None:
    transport.execute("SET", "a", 1)
    valkey_server.pause()
    try:
        for _ in range(2):
            with pytest.raises(StoreSlow):
                transport.execute("ECHO", "reply to another command")
    finally:
        valkey_server.resume()
    assert transport.execute("GET", "a") == b"1"


def test_concurrent_commands_share_few_connections(transport: RedisTransport, valkey_server: Valkey) -> None:
    """If each of 100 threads opened its own connection simultaneously, many threads would get no reply in time."""
    thread_count, before = 100, valkey_server.client.info("stats")["total_connections_received"]
    barrier = threading.Barrier(thread_count)

    def echo(number: int) -> Any:
        barrier.wait()
        return transport.execute("ECHO", number)

    with ThreadPoolExecutor(thread_count) as threads:
        assert list(threads.map(echo, range(thread_count))) == [b"%d" % number for number in range(thread_count)]
    assert valkey_server.client.info("stats")["total_connections_received"] - before <= MAX_CONCURRENT


def test_a_script_that_the_server_lacks_is_loaded_again(transport: RedisTransport, valkey_server: Valkey) -> None:
    transport.eval(ECHO, [], ["text"])
    valkey_server.client.script_flush()
    assert transport.eval(ECHO, [], ["text"]) == b"text"


def test_a_full_server_rejects_fills_but_runs_scripts_that_may_exceed_its_memory(
    transport: RedisTransport, valkey_server: Valkey
) -> None:
    with out_of_memory(valkey_server):
        with pytest.raises(StoreFull):
            transport.execute("SET", "a", 1)
        with pytest.raises(StoreFull):
            transport.pipeline([("GET", "a"), ("SET", "a", 1), ("GET", "a")])
        next_connection(transport).disconnect()  # the script must also run on a new connection
        assert transport.eval(WRITE, ["a"], ["1"]) == b"OK"
        assert transport.execute("GET", "a") == b"1"


# --- scripts without a reply ------------------------------------------------------------------------------------------
def test_a_script_without_reply_runs_before_the_next_command(transport: RedisTransport) -> None:
    transport.eval(WRITE, ["a"], ["0"])
    for number in range(50):
        transport.post(WRITE, ["a"], [str(number)], again=WRITE)
        assert transport.execute("GET", "a") == b"%d" % number


def test_a_script_that_was_sent_on_a_lost_connection_is_sent_again(
    transport: RedisTransport, valkey_server: Valkey
) -> None:
    transport.eval(WRITE, ["a"], ["0"])
    valkey_server.pause()
    try:
        transport.post(WRITE, ["a"], ["1"], again=WRITE_AGAIN)
        next_connection(transport)._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - the test breaks the connection
    finally:
        valkey_server.resume()
    assert transport.execute("GET", "a") == b"again"


def test_more_scripts_can_be_posted_than_replies_are_kept_unread(transport: RedisTransport) -> None:
    for number in range(3 * MAX_POSTED):
        transport.post(WRITE, ["a"], [str(number)], again=WRITE)
    assert transport.execute("GET", "a") == b"%d" % (3 * MAX_POSTED - 1)


def test_a_posted_script_that_the_server_lacks_runs_before_the_next_command(valkey_server: Valkey) -> None:
    store = get_runtime().store
    store.begin(b"w" * 16, ["instance:1"])
    valkey_server.client.script_flush()
    store.end(b"w" * 16, ["instance:1"])
    (state,) = store.read([], ["instance:1"])[1]
    assert state is not None
    assert not state.startswith(b"!")


def test_no_reply_to_a_posted_script_is_left_for_the_next_user_of_the_connection(
    transport: RedisTransport, valkey_server: Valkey
) -> None:
    transport.eval(WRITE, ["a"], ["0"])
    valkey_server.pause()
    transport.post(WRITE, ["a"], ["1"], again=WRITE)
    valkey_server.resume()
    transport.release_idle()
    assert next_connection(transport).can_read() is False
    assert transport.execute("GET", "a") == b"1"


def test_a_server_that_rejects_echo_is_not_used(valkey_server: Valkey, settings: Any) -> None:
    """Without ECHO, replies to other commands could not be noticed."""
    valkey_server.client.execute_command("ACL", "SETUSER", "ana", "on", ">secret", "~*", "&*", "+@all", "-echo")
    use_redis(settings, valkey_server.url.replace("unix://", "unix://ana:secret@"))
    with pytest.raises(StoreDown, match="echo") as caught:
        get_runtime().store.reinitialize(quarantine=False)
    assert isinstance(caught.value.__cause__, exceptions.NoPermissionError)


def test_all_connections_to_a_replica_are_closed_but_none_while_it_is_in_use(
    transport: RedisTransport, valkey_server: Valkey
) -> None:
    """A connection in use is closed after its command; only new connections can lead to another server."""
    sent, may_read, used = threading.Event(), threading.Event(), []

    def echo_slowly(connection: Any) -> Any:
        used.append(connection)
        connection.send_command("ECHO", "expected")
        sent.set()
        may_read.wait()
        return connection.read_response()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(transport._with_connection, echo_slowly)  # noqa: SLF001 - the test controls how long the command takes
        sent.wait()
        used.append(next_connection(transport))
        with a_replica(valkey_server):
            try:
                with pytest.raises(StoreDown, match="ReadOnlyError"):
                    transport.execute("SET", "a", 1)
            finally:
                may_read.set()
            assert other.result() == b"expected"
            assert [connection._sock for connection in used] == [None, None]  # noqa: SLF001 - the attribute _sock is None if the connection is closed


# --- large replies ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [65_516, 65_536, 1_000_003])
def test_a_reply_that_arrives_in_parts_is_read(transport: RedisTransport, size: int) -> None:
    text = b"\r\n" * (size // 2) + b"x" * (size % 2)  # every part ends as a reply does
    transport.execute("SET", "a", text)
    assert transport.get_strings(["a", "nothing", "a"]) == [text, None, text]


def test_a_connection_that_another_thread_closed_is_reopened(transport: RedisTransport) -> None:
    transport.execute("SET", "a", 1)
    next_connection(transport).disconnect()
    assert transport.execute("GET", "a") == b"1"
