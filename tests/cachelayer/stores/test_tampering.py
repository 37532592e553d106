"""Entries that something else has written to the Redis server, or copied to other names, are not used."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings as django_settings

from cachelayer import cache
from cachelayer.protocol.entries import EntryKey, Kind, is_version, pack
from cachelayer.protocol.seal import Seal
from cachelayer.runtime.metrics import EVENTS
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.stores.base import StoreDown
from cachelayer.stores.replies import MAX_VALUE_BYTES
from cachelayer.stores.scripts import MAX_STATE_BYTES
from conversations.models import Contact
from tests.cachelayer.conftest import wait_until_in_use
from tests.conversations.rows import a_contact, an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = f"{django_settings.CACHELAYER['PREFIX']}:e:"
TAG_PREFIX = f"{django_settings.CACHELAYER['PREFIX']}:t:"
IN_FIFTY_MINUTES = int(time.time() + 3000) * 1000  # of the import; an intent for more than an hour is ignored


def entries(server: Valkey) -> dict[bytes, bytes]:
    keys = sorted(server.client.scan_iter(match=f"{PREFIX}*"))
    return dict(zip(keys, server.client.mget(keys), strict=True))


def rejected() -> int:
    counts = runtime.counters.snapshot(runtime.local.namespaces.values())
    return counts.get((EVENTS, "", "rejected entries"), 0)


def change_a_byte(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: entry[:30] + bytes([entry[30] ^ 1]) + entry[31:] for key, entry in found.items()}


def change_the_name(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: entry.replace(b"name", b"evil") for key, entry in found.items()}


def exchange(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Store each entry under the name of the next one. All entries depend on tags that were touched together."""
    return dict(zip(found, [*list(found.values())[1:], next(iter(found.values()))], strict=True))


def seal_with_another_key(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    seal = Seal([b"another key"])
    return {
        key: seal.seal(key.decode().removeprefix(PREFIX), entry[16:].replace(b"name", b"evil"))
        for key, entry in found.items()
    }


def remove_the_seal(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: entry[16:] for key, entry in found.items()}


def replace_by_rubbish(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: b"x" * number for number, key in enumerate(found)}


CHANGES = [change_a_byte, change_the_name, exchange, seal_with_another_key, remove_the_seal, replace_by_rubbish]


@pytest.fixture
def read(valkey_server: Valkey) -> Callable[[], Any]:  # noqa: ARG001 - the cache uses the server
    """Return a function that reads rows, lists and a value from the shared store."""
    instances = [an_instance() for _ in range(2)]
    pks = [a_contact(instance, name=f"name {instance.pk}").pk for instance in instances for _ in range(2)]

    def read_all() -> Any:
        get_runtime().local.invalidate(["*"])
        return (
            [Contact.objects.fetch(pk, fresh=True) for pk in pks],
            Contact.objects.fetch_many(pks, fresh=True),
            [Contact.objects.for_instance(instance, fresh=True).rows for instance in instances],
            [cache.fetch(f"contacts:value:{size}", lambda size=size: "name" * size) for size in (1, 400)],  # type: ignore[misc]  # mypy cannot infer the type of a lambda's default
        )

    read_all()
    return read_all


@pytest.mark.parametrize("change", CHANGES)
def test_changed_entries_are_replaced_by_what_the_database_holds(
    valkey_server: Valkey, read: Callable[[], Any], change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]
) -> None:
    expected, before = read(), rejected()
    changed = change(entries(valkey_server))
    assert len(changed) == 8
    valkey_server.client.mset(changed)
    assert [[row.name for row in rows] for rows in (read()[0], expected[0])] == [[row.name for row in expected[0]]] * 2
    assert read() == expected
    assert rejected() - before >= len(changed) / 2
    before = rejected()
    assert read() == expected
    assert rejected() == before, "an entry was not replaced"


def test_rejected_entries_are_logged_once_a_minute(
    valkey_server: Valkey, read: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    read()
    for _ in range(2):
        valkey_server.client.mset(change_a_byte(entries(valkey_server)))
        read()
    assert caplog.text.count("Cache entry REJECTED") == 1


def test_entries_stay_valid_when_secret_key_is_rotated_with_a_fallback(
    valkey_server: Valkey, read: Callable[[], Any], settings: Any
) -> None:
    expected = read()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret key of this site" * 2
    get_runtime().use_configured_store(owns_cache=True)
    before = entries(valkey_server)
    assert read() == expected
    assert entries(valkey_server) == before
    assert not rejected()


def test_without_a_fallback_a_new_secret_key_makes_misses(
    valkey_server: Valkey, read: Callable[[], Any], settings: Any
) -> None:
    expected = read()
    settings.SECRET_KEY = "another secret key of this site" * 2
    get_runtime().use_configured_store(owns_cache=True)
    before = entries(valkey_server)
    assert read() == expected
    assert all(entry != before.get(key) for key, entry in entries(valkey_server).items())


@pytest.mark.parametrize(
    "planted",
    [
        b"!evil:99999999999999",
        b"!" + b",".join(b"%d:99999999999999" % n for n in range(9)),
        pytest.param(b"!" + b",".join(b"%016d:%d" % (n, IN_FIFTY_MINUTES) for n in range(5000)), id="too many"),
    ],
)
@pytest.mark.parametrize("is_write", [True, False])
def test_a_planted_intent_without_end_ends_with_the_next_write_or_clearing(
    valkey_server: Valkey,
    planted: bytes,
    is_write: bool,  # noqa: FBT001 - pytest passes keywords
) -> None:
    """One such intent on the tag of all entries kept the whole cache out of use, and no command removed it."""
    store = get_runtime().store
    wait_until_in_use(get_runtime())
    valkey_server.client.set(f"{TAG_PREFIX}conversation:1", planted)
    if is_write:
        store.begin(b"m" * 16, ["conversation:1"])
        store.end(b"m" * 16, ["conversation:1"])
    else:
        store.touch(["conversation:1"])
    (state,) = store.read([], ["conversation:1"])[1]
    assert state is not None
    assert is_version(state)


@pytest.mark.parametrize(
    ("key", "size"),
    [(f"{TAG_PREFIX}contact:{{pk}}", MAX_STATE_BYTES + 1), (f"{PREFIX}contact:{{pk}}@", MAX_VALUE_BYTES + 1)],
    ids=["state", "entry"],  # the prefix is another one in each process of the tests
)
def test_the_first_value_that_no_process_stores_ends_the_use_of_the_store(
    valkey_server: Valkey, read: Callable[[], Any], key: str, size: int
) -> None:
    """Each read of another entry forgot the failure before, so every read of this one took its time."""
    pk = Contact.objects.values_list("pk", flat=True)[0]
    wait_until_in_use(get_runtime())
    read()
    (name,) = valkey_server.client.scan_iter(match=key.format(pk=pk) + "*")
    valkey_server.client.set(name, b"x" * size)

    assert Contact.objects.fetch(pk, fresh=True).pk == pk

    assert not runtime.breaker.is_closed
    cache.clear("*")
    assert valkey_server.client.strlen(name) < size


def test_an_answer_that_is_too_large_is_not_received(valkey_server: Valkey) -> None:
    """The script asks for its size, so it copies nothing and looks for no tags in it."""
    store = get_runtime().store
    wait_until_in_use(get_runtime())
    valkey_server.client.set(f"{PREFIX}answers:1@f", b"x" * (MAX_VALUE_BYTES + 1))

    assert store.read_answer("answers:1@f", "", []) == (None, None, [])

    assert runtime.breaker.is_closed


def test_a_planted_state_does_not_become_a_part_of_an_entry(valkey_server: Valkey) -> None:
    """Entries end with the versions of their tags: one state of 16 MB would have made each of them as large."""
    wait_until_in_use(get_runtime())
    valkey_server.client.set(f"{TAG_PREFIX}values", b"x" * 100)

    cache.set("x", 1)

    assert cache.get("x") == 1


# --- what the next write must not need to repair ----------------------------------------------------------------------
def plant_list(server: Valkey, key: str) -> None:
    server.client.pipeline(transaction=True).delete(key).lpush(key, b"x").execute()


def plant_rubbish(server: Valkey, key: str) -> None:
    server.client.set(key, b"rubbish")


def plant_endless_intent(server: Valkey, key: str) -> None:
    server.client.set(key, b"!evil:99999999999999")


def plant_many_intents(server: Valkey, key: str) -> None:
    soon = int(time.time() * 1000) + 60_000
    server.client.set(key, b"!" + b",".join(b"%d:%d" % (number, soon) for number in range(20_000)))


PLANTS = [plant_list, plant_rubbish, plant_endless_intent, plant_many_intents]
Plant = Callable[[Valkey, str], None]


@pytest.mark.parametrize("name", ["server", "t:*", "t:contacts"])
@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_planted_keeps_the_cache_out_of_use(
    valkey_server: Valkey, read: Callable[[], Any], plant: Plant, name: str
) -> None:
    """One list in place of the identity of the server kept the cache out of use for ever; no command removed it."""
    expected, runtime = read(), get_runtime()
    plant(valkey_server, f"{django_settings.CACHELAYER['PREFIX']}:{name}")
    with suppress(StoreDown):
        runtime.check_store()
    wait_until_in_use(runtime)
    (state,) = runtime.store.read([], ["contacts"])[1]
    assert state is not None
    assert is_version(state)
    assert read() == expected
    before = entries(valkey_server)
    assert read() == expected
    assert entries(valkey_server) == before, "what was read is not cached"


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_state_of_a_row_ends_with_the_next_write(valkey_server: Valkey, plant: Plant) -> None:
    store, tag = get_runtime().store, "contact:1"

    def put() -> None:
        store.put("contact:1@x", pack(EntryKey(tag, (tag,)), Kind.PRESENT, 1, b""), [tag], 1000)

    def begin_and_end() -> None:
        store.begin(b"m" * 16, [tag])
        store.end(b"m" * 16, [tag])

    def touch() -> None:
        store.touch([tag])

    for write in (touch, put, begin_and_end):
        plant(valkey_server, f"{django_settings.CACHELAYER['PREFIX']}:t:{tag}")
        with suppress(StoreDown):  # the state is too large
            store.claim_versions([tag], "", 0)
        write()
        (state,) = store.read([], [tag])[1]
        assert state is not None
        assert is_version(state)


def test_a_list_in_place_of_an_answer_is_a_miss(valkey_server: Valkey) -> None:
    store = get_runtime().store
    plant_list(valkey_server, f"{PREFIX}answer")
    assert store.read_answer("answer", "", [])[:2] == (None, None)


def test_a_list_in_place_of_the_identity_of_the_database_is_replaced(valkey_server: Valkey) -> None:
    store = get_runtime().store
    plant_list(valkey_server, f"{django_settings.CACHELAYER['PREFIX']}:database")
    assert not store.note_database("this", "")
    assert store.note_database("other", "")


def test_planted_keys_that_are_not_text_stop_no_clearing(valkey_server: Valkey, read: Callable[[], Any]) -> None:
    """One such key made each clearing by pattern fail, each audit, and the recovery after an outage."""
    read()
    for kind in (b"e", b"t"):
        valkey_server.client.set(b"%s:%s:\xff" % (django_settings.CACHELAYER["PREFIX"].encode(), kind), b"x")
    names = list(get_runtime().store.entry_names("*"))
    assert cache.clear("*") == len(names) - 1 > 0
    assert len(list(get_runtime().store.entry_names("*"))) == 1
