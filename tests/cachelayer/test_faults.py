"""Faults of the Redis server: the API must return correct data, and a log line and a counter must report the fault.

API requests read and write both during and after each fault.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from cachelayer import cache
from cachelayer.models import Outbox
from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.metrics import EVENTS
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.write import intents
from conversations.models import ApiToken, Conversation, Instance
from tests import valkey
from tests.cachelayer.conftest import out_of_memory, wait_until_in_use
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def events() -> dict[str, int]:
    counts = runtime.counters.snapshot(runtime.local.namespaces.values())
    return {name: count for (namespace, _, name), count in counts.items() if namespace == EVENTS}


def errors() -> int:
    return sum(runtime.counters.shared(namespace).errors for namespace in runtime.namespaces)


# --- requests to the API ----------------------------------------------------------------------------------------------
class Site:
    """A conversation with chat messages, which tests read and change through the API."""

    def __init__(self) -> None:
        _, token = ApiToken.objects.issue(User.objects.create_user("ana", is_superuser=True))
        self._client = APIClient(headers={"Authorization": f"Token {token}"})
        self.chat = a_chat(an_instance(), unread_count=3)
        self.messages = [a_message(self.chat).pk for _ in range(3)]

    def get(self, path: str) -> Any:
        response = self._client.get(f"/api/v1/{path}")
        assert response.status_code == 200, response.content
        return response.json()

    def post(self, path: str) -> None:
        response = self._client.post(f"/api/v1/{path}")
        assert response.status_code == 200, response.content

    def check(self) -> None:
        """Read all rows of the site through the API, and compare the responses with the database."""
        row = Conversation.objects.get(pk=self.chat.pk)
        for _ in range(2):
            detail = self.get(f"conversations/{row.pk}/")
            (listed,) = self.get(f"conversations/?instance={row.instance_id}")["results"]
            for body in (detail, listed):
                assert (body["unread_count"], body["is_archived"]) == (row.unread_count, row.is_archived)
            messages = self.get(f"conversations/{row.pk}/messages/")["results"]
            assert [one["id"] for one in messages] == self.messages[::-1]
            assert self.get(f"instances/{row.instance_id}/")["id"] == row.instance_id
            assert self.get(f"contacts/{row.contact_id}/")["id"] == row.contact_id

    def change_and_check(self) -> None:
        """Write through the API and through the ORM, and check that the next reads return the new values."""
        was_archived = Conversation.objects.get(pk=self.chat.pk).is_archived
        self.post(f"conversations/{self.chat.pk}/{'unarchive' if was_archived else 'archive'}/")
        assert self.get(f"conversations/{self.chat.pk}/")["is_archived"] is not was_archived
        self.post(f"conversations/{self.chat.pk}/mark-read/")
        assert self.get(f"conversations/{self.chat.pk}/")["unread_count"] == 0
        Conversation.objects.filter(pk=self.chat.pk).update(unread_count=3)
        self.messages.append(a_message(self.chat).pk)
        self.check()


@pytest.fixture
def site(valkey_server: Valkey) -> Site:  # noqa: ARG001 - the cache of the site needs the server
    """A site whose rows are already cached."""
    site = Site()
    site.check()
    return site


# --- the faults -------------------------------------------------------------------------------------------------------
@contextmanager
def killed(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.delete_dump()
    valkey_server.kill()
    yield
    valkey_server.start()


@contextmanager
def hung(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.pause()
    yield
    valkey_server.resume()


@contextmanager
def restarted_with_old_data(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.save()
    Conversation.objects.update(unread_count=2)  # the snapshot was saved before this write
    valkey_server.kill()
    valkey_server.start()
    yield


@contextmanager
def restarted_empty(valkey_server: Valkey) -> Iterator[None]:
    with killed(valkey_server):
        pass
    yield


@contextmanager
def flushed(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.client.flushall()
    yield


@contextmanager
def evicted(valkey_server: Valkey) -> Iterator[None]:
    """Remove all cache keys except the key `server`, which would not be evicted because each read uses the key."""
    for key in valkey_server.client.scan_iter():
        if not key.endswith(b":server"):
            valkey_server.client.unlink(key)
    get_runtime().local.invalidate_all()  # now the next reads must ask the server
    yield


@contextmanager
def without_intents(valkey_server: Valkey) -> Iterator[None]:
    """Let the server lose a write intent before the write ends."""
    instance = Instance.objects.get()
    intent = intents.WriteIntent(get_runtime(), lambda _: None, lambda _: None)
    intent.begin([f"instance:{instance.pk}"])
    (key,) = valkey_server.client.keys(f"*:t:instance:{instance.pk}")
    valkey_server.client.unlink(key)
    intent.end()
    yield


@contextmanager
def without_scripts(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.client.script_flush()
    yield


@contextmanager
def a_replica(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.client.replicaof("127.0.0.1", 1)
    yield
    valkey_server.client.replicaof("no", "one")


@contextmanager
def promoted_with_old_data(valkey_server: Valkey) -> Iterator[None]:
    """Make the server a replica of an older copy of itself, and promote it again: it has not restarted."""
    before = events().get("store replacements", 0)
    valkey_server.save()
    Conversation.objects.update(unread_count=2)  # the copy was saved before this write
    with valkey.running_copy(valkey_server) as port:
        valkey_server.client.replicaof("127.0.0.1", port)
        wait_until(lambda: valkey_server.client.info("replication").get("master_link_status") == "up")
        valkey_server.client.replicaof("no", "one")
    wait_until(lambda: events().get("store replacements", 0) > before)  # until then, reads may be stale
    yield


@contextmanager
def unable_to_save(valkey_server: Valkey) -> Iterator[None]:
    """Let the server fail to save to disk, so that it rejects writes with the error MISCONF."""
    valkey_server.client.config_set("save", "3600 1")
    valkey_server.dump.mkdir()
    (valkey_server.dump / "in the way").touch()
    valkey_server.client.bgsave()
    wait_until(lambda: valkey_server.client.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    valkey_server.client.config_set("save", "")


@contextmanager
def with_connections_closed(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)
    yield


@contextmanager
def with_the_channel_closed(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.client.client_kill_filter(_type="pubsub")
    yield


@dataclass(frozen=True)
class Fault:
    """A fault of the server, the counter that must count the fault, and the expected beginning of the log line."""

    inject: Callable[[Valkey], AbstractContextManager[None]]
    counter: str
    message: str


FAULTS = {
    "killed": Fault(killed, "outages", "Cache DEGRADED: ConnectionError"),
    "hung": Fault(hung, "outages", "Cache DEGRADED: TimeoutError"),
    "restarted with old data": Fault(restarted_with_old_data, "store replacements", "Cache store REPLACED"),
    "promoted with old data": Fault(promoted_with_old_data, "store replacements", "Cache store REPLACED"),
    "restarted empty": Fault(restarted_empty, "store replacements", "Cache store REPLACED"),
    "FLUSHALL": Fault(flushed, "store replacements", "Cache store REPLACED"),
    "intents lost": Fault(without_intents, "lost intents", "Cache store LOST"),
    "SCRIPT FLUSH": Fault(without_scripts, "loaded scripts", "Cache scripts LOADED"),
    "full": Fault(out_of_memory, "rejected fills", "Cache FULL: OutOfMemoryError"),
    "a replica": Fault(a_replica, "outages", "Cache DEGRADED: "),
    "unable to save": Fault(unable_to_save, "outages", "Cache DEGRADED: ResponseError: MISCONF"),
    "connections closed": Fault(with_connections_closed, "reconnections", "Cache connection REOPENED"),
    "channel lost": Fault(with_the_channel_closed, "lost channels", "Cache channel LOST"),
}


def _count_after_traffic(site: Site, fault: Fault) -> int:
    """Send API requests; return how often the fault has been counted so far."""
    site.change_and_check()
    return events().get(fault.counter, 0)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=name, marks=[pytest.mark.short_timeouts] if fault.inject is hung else [])
        for name, fault in FAULTS.items()
    ],
)
def test_the_api_returns_correct_data_and_the_fault_is_logged_and_counted(
    site: Site, valkey_server: Valkey, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    before = events().get(fault.counter, 0)
    caplog.clear()
    with fault.inject(valkey_server):
        site.check()
        site.change_and_check()
        wait_until(lambda: _count_after_traffic(site, fault) > before)
        wait_until(lambda: fault.message in caplog.text)
        site.check()
    site.check()
    wait_until_in_use(get_runtime())
    site.change_and_check()
    assert not Outbox.objects.exists()
    row = Conversation.objects.fetch(site.chat.pk)
    with CaptureQueriesContext(connection) as queries:
        assert Conversation.objects.fetch(row.pk) == Conversation.objects.fetch(row.pk, fresh=True) == row
    assert not queries, "the row was not cached"


def test_keys_that_the_server_evicts_cause_only_misses(site: Site, valkey_server: Valkey) -> None:
    counts = runtime.counters.shared(runtime.namespaces.for_tag("conversations"))
    misses, events_before = counts.misses, events()
    with evicted(valkey_server):
        site.check()
        assert counts.misses > misses
        site.change_and_check()
    assert events() == events_before


# --- bounded latency --------------------------------------------------------------------------------------------------
@pytest.fixture
def site_of_hung_server(site: Site, valkey_server: Valkey) -> Iterator[Site]:
    with hung(valkey_server):
        yield site


@pytest.mark.short_timeouts
@pytest.mark.usefixtures("site_of_hung_server")
def test_only_a_few_reads_wait_for_a_hung_server(site: Site) -> None:
    before = errors()
    for _ in range(5):
        site.check()
    assert errors() - before <= circuit_breaker.FAILURES


@pytest.mark.short_timeouts
def test_after_a_write_found_the_server_hung_the_next_writes_do_not_try_it(
    site_of_hung_server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachelayer.runtime.runtime.WRITE_RETRY_DELAY", 60.0)
    store, attempts = get_runtime().store, []
    begin = store.begin

    def count_and_begin(*arguments: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # ignores the heartbeat
            attempts.append(arguments)
        begin(*arguments)

    monkeypatch.setattr(store, "begin", count_and_begin)
    for _ in range(5):
        site_of_hung_server.change_and_check()
    assert {write for write, _ in attempts} == {attempts[0][0]}, "only the first write tried it"
    assert events()["unannounced writes"] == 1


# --- the outbox -------------------------------------------------------------------------------------------------------
def test_writes_during_an_outage_go_into_the_outbox_and_are_applied_after_it(
    site: Site, valkey_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    with killed(valkey_server):
        site.change_and_check()
        assert Outbox.objects.exists()
        assert events()["outboxed"] >= 1
    wait_until_in_use(get_runtime())
    assert not Outbox.objects.exists()
    assert events()["drained"] >= 1
    assert "Cache outbox DRAINED" in caplog.text
    assert "Cache RECOVERED" in caplog.text
    site.check()


# --- a full server ----------------------------------------------------------------------------------------------------
def test_a_full_server_is_logged_once_and_stores_no_value(
    valkey_server: Valkey, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("conversations:x", "old")
    with out_of_memory(valkey_server):
        for number in range(3):
            cache.set("conversations:x", number)
            assert cache.get("conversations:x") is None
        site.check()
    assert caplog.text.count("Cache FULL") == 1
    cache.set("conversations:x", "new")
    assert cache.get("conversations:x") == "new"


def test_a_row_loaded_while_the_server_is_full_is_not_cached_locally_without_versions(
    valkey_server: Valkey, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry without versions would stay valid after a write that ends after the load."""
    store, pk = get_runtime().store, site.chat.instance_id
    cache.touch(f"instance:{pk}")
    claim = store.claim_versions

    def claim_after_a_write(*arguments: Any) -> Any:
        monkeypatch.setattr(store, "claim_versions", claim)
        store.begin(b"w" * 16, [f"instance:{pk}"])  # the write begins after the reader has looked the entry up
        return claim(*arguments)

    with out_of_memory(valkey_server):
        monkeypatch.setattr(store, "claim_versions", claim_after_a_write)
        Instance.objects.fetch(pk)
    assert pk not in runtime.local.namespace(runtime.namespaces.for_tag("instances")).entries


@pytest.mark.parametrize("first", ["update", "touch", "nothing"])
def test_an_emptied_server_is_detected_whatever_is_written_to_it_first(
    site: Site, valkey_server: Valkey, first: str
) -> None:
    """An emptied server must not look initialized because a write has left cache keys on the server."""
    before = events().get("store replacements", 0)
    valkey_server.client.flushall()
    if first == "update":
        Conversation.objects.filter(pk=site.chat.pk).update(unread_count=7)
    elif first == "touch":
        cache.clear_namespace("conversations")
    Conversation.objects.fetch(site.chat.pk, fresh=True)
    assert events()["store replacements"] > before
    site.check()
