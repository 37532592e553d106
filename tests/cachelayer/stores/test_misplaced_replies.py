"""No answer is taken for the answer to another question, whatever happens to the replies of the Redis server."""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
from redis import exceptions

from cachelayer import cache
from cachelayer.conf import Options
from cachelayer.protocol.entries import EntryKey, Kind, pack
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import States, Store, StoreDown, StoreFull
from cachelayer.stores.redis import RedisStore
from cachelayer.stores.transport import RedisTransport
from conversations.models import Contact
from tests import valkey
from tests.cachelayer import reply_proxy
from tests.cachelayer.conftest import reset_cache, shorten_delays, store_timeout, use_redis, wait_until_in_use
from tests.cachelayer.reply_proxy import ReplyProxy
from tests.conversations.rows import a_contact, an_instance
from tests.effort import effort
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WRITE_ID = b"w" * 16
TAGS = ["contact:1", "contact:2", "contact:3", "contacts"]
ENTRIES = [f"contact:{number}@f" for number in range(4)]


# --- replies that are lost, inserted, repeated or delayed -------------------------------------------------------------
class Tamperer:
    """Tampers with about every eighth reply, as a bug of a server or of a proxy might do.

    Args:
        rng: chooses the replies and what happens to them.
        gap: how many replies in a row arrive as they are, after each reply that does not.
    """

    def __init__(self, rng: random.Random, gap: int = 0) -> None:
        self._rng = rng
        self._gap = gap
        self._rest = 0
        self._earlier: deque[bytes] = deque([b"$-1\r\n", b":1\r\n", b"+OK\r\n", b"-ERR inserted\r\n"], maxlen=30)

    def __call__(self, reply: bytes) -> list[bytes]:
        self._earlier.append(reply)
        if self._rest or self._rng.random() > 1 / 8:
            self._rest = max(0, self._rest - 1)
            return [reply]
        self._rest = self._gap
        other = self._rng.choice(self._earlier)
        return self._rng.choice([[], [reply, reply], [other, reply], [reply, other], [other, other, reply]])


@pytest.fixture
def proxy(request: pytest.FixtureRequest, valkey_server: Valkey, settings: Any) -> Iterator[ReplyProxy]:
    """A proxy in front of the server, which the cache runtime of the test process uses."""
    with reply_proxy.running(valkey_server.url) as running:
        use_redis(settings, running.url, store_timeout(request))
        reset_cache()
        yield running
        running.tamper = None
        wait_until_in_use(get_runtime())


def fuzz_store(store: Store, direct: Store, proxy: ReplyProxy, rng: random.Random, rounds: int) -> int:
    """Call methods of a store whose replies are tampered with; return how many reads were answered.

    Every answer must be the answer that the store `direct` gives, which is not tampered with.
    """
    direct.claim_versions(TAGS, "", 0)
    key = EntryKey("", ())
    direct.fill([(name, pack(key, Kind.PRESENT, 1, name.encode()), 60_000) for name in ENTRIES], "")
    proxy.tamper = Tamperer(rng, gap=4)  # one fault in a round trip: a reply that was replaced cannot be noticed
    answered, write = 0, WRITE_ID
    for number in range(rounds):
        entries, tags = rng.sample(ENTRIES, rng.randrange(3)), rng.sample(TAGS, rng.randrange(1, 4))
        method = rng.choice(["read", "read", "read", "answer", "claim", "begin", "end", "touch"])
        with suppress(StoreDown, StoreFull):
            before = direct.read(entries, tags)
            if method == "read":
                found = store.read(entries, tags)
                assert found[0] == before[0]
                assert_current(found[1], before[1], direct.read([], tags)[1])
                answered += 1
            elif method == "answer":
                assert_current(store.read_answer("no answer@f", "", tags)[2], before[1], direct.read([], tags)[1])
            elif method == "claim":
                assert_current(store.claim_versions(tags, "", 0)[0], before[1], direct.read([], tags)[1])
            elif method == "begin":
                write = b"%016d" % number  # another one each time, because the end of an earlier write may run now
                store.begin(write, tags)
                assert all(write in (state or b"") for state in direct.read([], tags)[1])
            elif method == "end":
                store.end(write, TAGS)
            else:
                store.touch(tags)
    return answered


def assert_current(states: States, before: States, after: States) -> None:
    """Check states against those before and after the call, except where they changed meanwhile.

    Scripts that were posted before may run at any time, and once more if their replies were lost.
    """
    assert all(state == old for state, old, new in zip(states, before, after, strict=True) if old == new)


@pytest.fixture
def direct(proxy: ReplyProxy, valkey_server: Valkey, settings: Any) -> Store:  # noqa: ARG001 - the fixture `proxy` sets CACHES first
    """A store that uses the server without the proxy."""
    settings.CACHES["direct"] = {**settings.CACHES["default"], "LOCATION": valkey_server.url}
    prefix, namespaces = settings.CACHELAYER["PREFIX"], get_runtime().namespaces
    keys = Options.read().seal_keys()
    return RedisStore("direct", prefix, "direct", namespaces, keys, lambda _tags: None, lambda _event: None)


@pytest.mark.short_timeouts
@pytest.mark.parametrize("seed", range(effort(1, 20)))
def test_a_store_returns_no_reply_to_another_command(proxy: ReplyProxy, direct: Store, seed: int) -> None:
    assert fuzz_store(get_runtime().store, direct, proxy, random.Random(seed), rounds=300) > 50


@pytest.mark.short_timeouts
def test_without_the_echo_a_store_returns_replies_to_other_commands(
    proxy: ReplyProxy, direct: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converse(self: Any, connection: Any, commands: bytes, count: int) -> list[Any]:
        connection.send_packed_command([commands])
        posted = self._posted.pop(connection, [])
        return [_read_reply(connection) for _ in range(len(posted) + count)][len(posted) :]

    def _read_reply(connection: Any) -> Any:
        try:
            return connection.read_response()
        except exceptions.ResponseError as error:
            return error

    monkeypatch.setattr(RedisTransport, "_converse", converse)
    with pytest.raises((AssertionError, AttributeError, TypeError)):  # a reply of another type may cause any error
        fuzz_store(get_runtime().store, direct, proxy, random.Random(0), rounds=300)


def fuzz_rows(proxy: ReplyProxy, rng: random.Random, rounds: int) -> None:
    """Read rows, lists and values while any replies are tampered with: none may be that of another key."""
    instances = [an_instance() for _ in range(2)]
    pks = [a_contact(instance).pk for instance in instances for _ in range(3)]
    for number in range(4):
        cache.set(f"contacts:value:{number}", number)
    proxy.tamper = Tamperer(rng)
    for _ in range(rounds):
        pk, number, instance = rng.choice(pks), rng.randrange(4), rng.choice(instances)
        kind = rng.choice(["row", "row", "many", "list", "value", "write"])
        if kind == "row":
            assert Contact.objects.fetch(pk, fresh=True).pk == pk
        elif kind == "many":
            assert all(row.pk == key for key, row in Contact.objects.fetch_many(pks, fresh=True).items())
        elif kind == "list":
            page = Contact.objects.for_instance(instance, fresh=True)
            assert {row.instance_id for row in page.rows} == {instance.pk}
        elif kind == "value":
            assert cache.get(f"contacts:value:{number}", number) == number
        else:
            Contact.objects.get(pk=pk).save()


@pytest.mark.short_timeouts
@pytest.mark.postgresql  # writes during outages make the background threads use the database
@pytest.mark.parametrize("seed", range(effort(1, 20)))
def test_no_read_returns_the_data_of_another_key(proxy: ReplyProxy, seed: int) -> None:
    fuzz_rows(proxy, random.Random(seed), rounds=150)


# --- servers that reply with errors to commands for whose replies nobody waits ----------------------------------------
@contextmanager
def busy(server: Valkey) -> Iterator[None]:
    """Let a script of another client block the server until the `with` block ends."""
    server.client.config_set("lua-time-limit", 1)  # milliseconds after which the server replies BUSY to all commands
    blocker = threading.Thread(target=_block, args=(server.new_client(),))
    blocker.start()
    wait_until(lambda: _replies_with_error(server))
    try:
        yield
    finally:
        server.client.script_kill()
        blocker.join()


def _block(client: Any) -> None:
    with suppress(exceptions.ResponseError):  # SCRIPT KILL ends the script with an error
        client.eval("while true do end", 0)


def _replies_with_error(server: Valkey) -> bool:
    try:
        server.client.echo("x")
    except exceptions.ResponseError:
        return True
    return False


def narrowed(*rules: str) -> Callable[[Valkey], AbstractContextManager[None]]:
    """Return a fault that takes permissions from the Redis user of the cache until the `with` block ends."""

    @contextmanager
    def inject(server: Valkey) -> Iterator[None]:
        server.client.execute_command("ACL", "SETUSER", "app", *rules)
        try:
            yield
        finally:
            server.client.execute_command("ACL", "SETUSER", "app", "+@all")

    return inject


FAULTS = {
    "a blocking script": busy,
    "no scripts": narrowed("-@scripting"),
    "no commands": narrowed("nocommands"),
    "no CLIENT REPLY": narrowed("-client|reply"),
    "no ECHO": narrowed("-echo"),
    "no writes": narrowed("-@write"),
    "no PUBLISH": narrowed("-publish"),
}


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Valkey]:
    """A Valkey server, or a Redis server if there is one; the cache uses it as the Redis user `app`."""
    program = valkey.redis_program() if request.param == "redis" else None
    if request.param == "redis" and program is None:
        pytest.skip("no redis-server in PATH, and REDIS_SERVER names none")
    shorten_delays(monkeypatch)
    caches = settings.CACHES
    with valkey.running(program) as running:
        running.client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
        use_redis(settings, running.url.replace("unix://", "unix://app:secret@"))
        reset_cache()
        yield running
    settings.CACHES = caches
    reset_cache()


@pytest.mark.postgresql  # as above
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_after_a_server_rejected_commands_each_read_returns_its_own_row(
    server: Valkey, fault: Callable[[Valkey], AbstractContextManager[None]]
) -> None:
    instance = an_instance()
    names = {a_contact(instance, name=f"name {number}").pk: f"name {number}" for number in range(3)}

    def read_all() -> None:
        for fresh in (True, False):
            assert {pk: Contact.objects.fetch(pk, fresh=fresh).name for pk in names} == names
            assert {pk: row.name for pk, row in Contact.objects.fetch_many(names, fresh=fresh).items()} == names
            page = Contact.objects.for_instance(instance, fresh=fresh)
            assert {row.pk: row.name for row in page.rows} == names

    def write(pk: int, name: str) -> None:
        Contact.objects.filter(pk=pk).update(name=name)
        names[pk] = name

    read_all()
    for number, pk in enumerate(list(names)):
        with fault(server):
            write(pk, f"new {number}")
            read_all()
        write(pk, f"newer {number}")
        read_all()
        wait_until_in_use(get_runtime())
        write(pk, f"newest {number}")
        read_all()


# --- replies of the wrong shape ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "reply", [b"$5\r\nvalue\r\n", b"*-1\r\n", b"*1\r\n$-1\r\n", b"*3\r\n:1\r\n:2\r\n:3\r\n", b":1\r\n"]
)
def test_a_reply_of_the_wrong_shape_closes_the_connection(proxy: ReplyProxy, reply: bytes) -> None:
    store = get_runtime().store
    before = store.read(ENTRIES[:1], TAGS[:1])
    proxy.tamper = lambda real: [reply] if real.startswith(b"*3") else [real]
    with pytest.raises(StoreDown):
        store.read(ENTRIES[:1], TAGS[:1])
    proxy.tamper = None
    assert store.read(ENTRIES[:1], TAGS[:1]) == before
