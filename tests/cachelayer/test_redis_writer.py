"""Whoever can write to Redis cannot authenticate webhook requests, lock out their real sender, or run code."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache as django_cache  # noqa: TID251 - the test uses the cache of Django
from django.test import Client, RequestFactory

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.stores.replies import MAX_VALUE_BYTES
from conversations.models import Instance
from conversations.models.instance import hash_token
from conversations.webhooks.authentication import authenticate
from conversations.webhooks.errors import WebhookError
from tests.conversations.rows import an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW, FORGED = "old-token", "new-token", "forged-token"
Snapshot = dict[bytes, bytes]


class Attacker:
    """Somebody who can read and write everything on the Redis server."""

    def __init__(self, server: Valkey) -> None:
        self._client = server.client
        self.saved: list[Snapshot] = []

    def save(self) -> None:
        """Keep a copy of all keys, to write it back later."""
        self.saved.append(self._keys())

    def _keys(self, pattern: str = "*") -> Snapshot:
        """Return all strings; background threads may remove a key between SCAN and GET."""
        values = {key: self._client.get(key) for key in self._client.scan_iter(match=pattern, _type="string")}
        return {key: value for key, value in values.items() if value is not None}

    # --- attacks ------------------------------------------------------------------------------------------------------
    def replay(self) -> None:
        """Write back what the server held while the old token was valid, entries and versions alike."""
        for snapshot in self.saved:
            self._client.mset(snapshot)

    def forge(self) -> None:
        """Put the hash of a token of the attacker's own in place of each token hash."""
        for snapshot in (*self.saved, self._keys()):
            for key, value in snapshot.items():
                for token in (OLD, NEW):
                    value = value.replace(hash_token(token).encode(), hash_token(FORGED).encode())  # noqa: PLW2901 - each token is replaced
                self._client.set(key, value)

    def corrupt(self) -> None:
        """Overwrite every entry and the state of every tag."""
        for key in self._keys():
            self._client.set(key, b"0" * 16)

    def delete(self) -> None:
        """Remove everything."""
        self._client.flushall()

    def hold(self) -> None:
        """Let every tag carry an intent that never ends."""
        for key in self._keys("*:t:*"):
            self._client.set(key, b"!" + b"f" * 16 + b":99999999999999")

    def swell(self) -> None:
        """Make the state of the tag on which all entries depend longer than any value that is read."""
        self._client.set(f"{settings.CACHELAYER['PREFIX']}:t:{GLOBAL_TAG}", b"\r\n" * (MAX_VALUE_BYTES // 2 + 1))

    def retype(self) -> None:
        """Put a list in place of every string, at once: background threads may write the key between two commands."""
        for key in self._keys():
            self._client.pipeline(transaction=True).delete(key).lpush(key, b"x").execute()

    def announce(self) -> None:
        """Publish invalidation messages and rubbish on the channel."""
        for message in (b"x\n*", b"x\n!", b"x", b"", b"\xff\n\xff", b"x\n^notanumber"):
            self._client.publish(f"{settings.CACHELAYER['PREFIX']}:touched", message)


ATTACKS = ["replay", "forge", "corrupt", "delete", "hold", "swell", "retype", "announce"]


@pytest.fixture
def attacker(valkey_server: Valkey) -> Iterator[Attacker]:
    """An attacker, who has seen the cache of an instance while its old token was valid; the new one is valid now."""
    attacker, (instance, _) = Attacker(valkey_server), Instance.objects.upsert("sales")
    Instance.objects.issue_token(instance.pk, token=OLD)
    for _ in range(2):
        for _ in range(3):
            get_runtime().local.invalidate(["*"])
            assert is_accepted(OLD)
            Instance.objects.fetch(instance.pk, fresh=True)
            Instance.objects.page(fresh=True)
        attacker.save()
    Instance.objects.issue_token(instance.pk, token=NEW, revoke_old=True)
    yield attacker
    get_runtime().use_configured_store(owns_cache=True)


def is_accepted(token: str) -> bool:
    request: Any = RequestFactory().post("/", headers={"x-webhook-token": token})
    try:
        return authenticate(request, "sales").name == "sales"
    except WebhookError:
        return False


def forget_nothing() -> None:
    """Leave the local cache as it is."""


def forget_everything() -> None:
    """Empty the local cache, as in a process that has just started."""
    get_runtime().local.invalidate(["*"])


@pytest.mark.parametrize("prepare", [forget_nothing, forget_everything])
@pytest.mark.parametrize("attack", ATTACKS)
def test_only_the_new_token_is_accepted(attacker: Attacker, attack: str, prepare: Callable[[], None]) -> None:
    for _ in range(5):
        getattr(attacker, attack)()
        prepare()
        assert [is_accepted(token) for token in (NEW, OLD, FORGED)] == [True, False, False]


@pytest.mark.usefixtures("attacker")
def test_no_token_hash_is_read_from_the_shared_store(valkey_server: Valkey) -> None:
    """The list with which requests are authenticated has no entry on the server."""
    forget_everything()
    assert is_accepted(NEW)
    assert not list(valkey_server.client.scan_iter(match="*:e:instances:named:*"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_rows_are_read_and_written(attacker: Attacker, attack: str) -> None:
    instance = Instance.objects.get()
    for number in range(3):
        getattr(attacker, attack)()
        forget_everything()
        Instance.objects.filter(pk=instance.pk).update(profile_name=f"Name {number}")
        assert Instance.objects.fetch(instance.pk, fresh=True).profile_name == f"Name {number}"


@pytest.mark.usefixtures("attacker")
def test_a_token_is_read_again_after_it_was_changed() -> None:
    assert is_accepted(NEW)
    instance = Instance.objects.get()
    Instance.objects.issue_token(instance.pk, token="newest", revoke_old=True)
    assert [is_accepted(token) for token in ("newest", NEW)] == [True, False]


class Planted:
    """An object whose pickle, when it is decoded, would record that code of a writer to Redis has run."""

    has_run = False

    def __reduce__(self) -> Any:
        return setattr, (Planted, "has_run", True)


def test_a_pickle_on_the_redis_server_does_not_run(valkey_server: Valkey) -> None:
    """Everything that reads from Redis reads planted pickles: the health check, Django's cache, and the cache."""
    row = an_instance()
    Instance.objects.fetch(row.pk)
    planted = pickle.dumps(Planted())
    for key in (":1:health", ":1:x", *valkey_server.client.scan_iter()):
        valkey_server.client.set(key, planted)
    runtime.local.invalidate(["*"])
    assert Client().get("/health/").json()["cache"] == "ok"
    with pytest.raises(ValueError):  # noqa: PT011 - the error of a JSON decoder
        django_cache.get("x")
    assert Instance.objects.fetch(row.pk) == row
    assert Planted.has_run is False
