"""Whatever happens to the store, the API answers, with what is true; a log line and a counter say what it was.

Each fault is met by the API's own requests, reads and writes, while it lasts and after it is over.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.test import APIClient

from cachelayer import cache
from cachelayer.models import Outbox
from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.metrics import EVENTS
from cachelayer.runtime.runtime import get_runtime, runtime
from cachelayer.write import intents
from conversations.models import Conversation, Instance
from tests.cachelayer.conftest import out_of_memory, wait_until, wait_until_in_use
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.valkey import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def events() -> dict[str, int]:
    now = get_runtime()
    counted = now.counters.snapshot(now.local.namespaces.values())
    return {name: times for (namespace, _, name), times in counted.items() if namespace == EVENTS}


def errors() -> int:
    now = get_runtime()
    return sum(now.counters.shared(namespace).errors for namespace in now.namespaces)


# --- what is asked of the API -----------------------------------------------------------------------------------------
class Site:
    """One conversation with messages, and somebody who reads and changes it over HTTP."""

    def __init__(self) -> None:
        _, token = AuthToken.objects.create(User.objects.create_user("ana"))
        self._client = APIClient(headers={"Authorization": f"Token {token}"})
        self.chat = a_chat(an_instance(), unread_count=3)
        self.messages = [a_message(self.chat).pk for _ in range(3)]

    def get(self, path: str) -> Any:
        answer = self._client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def post(self, path: str) -> None:
        answer = self._client.post(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.content

    def is_right(self) -> None:
        """Read everything in all ways, and compare it with the database."""
        row = Conversation.objects.get(pk=self.chat.pk)
        for _ in range(2):
            detail = self.get(f"conversations/{row.pk}/")
            (listed,) = self.get(f"conversations/?instance={row.instance_id}")["results"]
            for shown in (detail, listed):
                assert (shown["unread_count"], shown["is_archived"]) == (row.unread_count, row.is_archived)
            shown = self.get(f"conversations/{row.pk}/messages/")["results"]
            assert [one["id"] for one in shown] == self.messages[::-1]
            assert self.get(f"instances/{row.instance_id}/")["id"] == row.instance_id
            assert self.get(f"contacts/{row.contact_id}/")["id"] == row.contact_id

    def changes(self) -> None:
        """Write in some ways, and read it back at once."""
        was = Conversation.objects.get(pk=self.chat.pk).is_archived
        self.post(f"conversations/{self.chat.pk}/{'unarchive' if was else 'archive'}/")
        assert self.get(f"conversations/{self.chat.pk}/")["is_archived"] is not was
        self.post(f"conversations/{self.chat.pk}/mark-read/")
        assert self.get(f"conversations/{self.chat.pk}/")["unread_count"] == 0
        Conversation.objects.filter(pk=self.chat.pk).update(unread_count=3)
        self.messages.append(a_message(self.chat).pk)
        self.is_right()


@pytest.fixture
def site(valkey_server: Valkey) -> Site:  # noqa: ARG001 - what the site is on
    """A site whose cache is warm."""
    made = Site()
    made.is_right()
    return made


# --- the faults -------------------------------------------------------------------------------------------------------
@contextmanager
def killed(valkey_server: Valkey) -> Iterator[None]:
    valkey_server.forget()
    valkey_server.stop()
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
    Conversation.objects.update(unread_count=2)  # what the data does not know
    valkey_server.stop()
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
    """Every key goes, but for the run's: it is in every read."""
    for key in valkey_server.client.scan_iter():
        if not key.endswith(b":run"):
            valkey_server.client.unlink(key)
    get_runtime().local.invalidate_all()  # or nothing would ask for them
    yield


@contextmanager
def without_intents(valkey_server: Valkey) -> Iterator[None]:
    """A write is announced, its intents are lost, and then it ends."""
    now = get_runtime()
    instance = Instance.objects.get()
    write = intents.WriteIntent(now, lambda _: None, lambda _: None)
    write.begin([f"instance:{instance.pk}"])
    (key,) = valkey_server.client.keys(f"*:t:instance:{instance.pk}")
    valkey_server.client.unlink(key)
    write.end()
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
def unable_to_save(valkey_server: Valkey) -> Iterator[None]:
    """The disk refuses the dump, so the server refuses writes (MISCONF)."""
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
    """What happens, and what must be counted and said of it."""

    happens: Callable[[Valkey], AbstractContextManager[None]]
    counter: str
    said: str


FAULTS = {
    "killed": Fault(killed, "outages", "Cache DEGRADED: ConnectionError"),
    "hung": Fault(hung, "outages", "Cache DEGRADED: TimeoutError"),
    "restarted with old data": Fault(restarted_with_old_data, "strange stores", "Cache store was emptied, restarted"),
    "restarted empty": Fault(restarted_empty, "strange stores", "Cache store was emptied, restarted"),
    "FLUSHALL": Fault(flushed, "strange stores", "Cache store was emptied, restarted"),
    "intents lost": Fault(
        without_intents, "lost intents", "Cache store had lost what was announced of a write: 1 tags"
    ),
    "SCRIPT FLUSH": Fault(without_scripts, "loaded scripts", "Cache scripts LOADED"),
    "full": Fault(out_of_memory, "refused entries", "Cache FULL: OutOfMemoryError"),
    "a replica": Fault(a_replica, "outages", "Cache DEGRADED: ReadOnlyError"),
    "unable to save": Fault(unable_to_save, "outages", "Cache DEGRADED: ResponseError: MISCONF"),
    "connections closed": Fault(with_connections_closed, "reconnections", "Cache connection made ANEW"),
    "channel lost": Fault(with_the_channel_closed, "lost channels", "Cache channel LOST"),
}


def _counted(site: Site, fault: Fault) -> int:
    """Return how often it was counted, after some more traffic."""
    site.changes()
    return events().get(fault.counter, 0)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_api_answers_and_it_is_said_what_happened(
    site: Site, valkey_server: Valkey, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    before = events().get(fault.counter, 0)
    caplog.clear()
    with fault.happens(valkey_server):
        site.is_right()
        site.changes()
        wait_until(lambda: _counted(site, fault) > before)
        wait_until(lambda: fault.said in caplog.text)
        site.is_right()
    site.is_right()
    wait_until_in_use(get_runtime())
    site.changes()
    assert not Outbox.objects.exists()
    row = Conversation.objects.fetch(site.chat.pk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversation.objects, "_load", lambda _: pytest.fail("not answered from the cache"))
        assert Conversation.objects.fetch(row.pk) == Conversation.objects.fetch(row.pk, fresh=True) == row


def test_what_the_server_evicts_is_only_missed(site: Site, valkey_server: Valkey) -> None:
    misses = get_runtime().counters.shared(runtime.namespaces.for_tag("conversations"))
    before, quiet = misses.misses, events()
    with evicted(valkey_server):
        site.is_right()
        assert misses.misses > before
        site.changes()
    assert {name: times for name, times in events().items() if quiet.get(name) != times} == {}


# --- latency is bounded by design -------------------------------------------------------------------------------------
@pytest.fixture
def hanging(site: Site, valkey_server: Valkey) -> Iterator[Site]:
    with hung(valkey_server):
        yield site


@pytest.mark.usefixtures("hanging")
def test_a_hung_server_costs_a_few_reads_a_short_time_each(site: Site) -> None:
    before = errors()
    for _ in range(5):
        site.is_right()
    assert errors() - before <= circuit_breaker.FAILURES


def test_a_write_tries_a_hung_server_a_few_times_and_the_next_one_not_at_once(
    hanging: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachelayer.runtime.runtime.RETRY", 60.0)
    now, attempts = get_runtime(), []
    begin = now.store.begin

    def counted(*arguments: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # others renew what is live
            attempts.append(arguments)
        begin(*arguments)

    monkeypatch.setattr(now.store, "begin", counted)
    for _ in range(5):
        hanging.changes()
    assert len(attempts) == intents.ATTEMPTS
    assert events()["unannounced writes"] == 1


# --- the outbox -------------------------------------------------------------------------------------------------------
def test_what_could_not_be_announced_is_kept_and_then_made_up_for(
    site: Site, valkey_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    with killed(valkey_server):
        site.changes()
        assert Outbox.objects.exists()
        assert events()["outboxed"] >= 1
    wait_until_in_use(get_runtime())
    assert not Outbox.objects.exists()
    assert events()["drained"] >= 1
    assert "Cache outbox DRAINED" in caplog.text
    assert "Cache RECOVERED" in caplog.text
    site.is_right()


def test_a_process_that_serves_takes_in_what_another_one_could_not_announce(site: Site) -> None:
    now = get_runtime()
    assert now.threads is not None
    now.threads.start_serving()
    pk = site.chat.pk
    Conversation.objects.fetch(pk)
    Outbox.objects.create(tags=f"conversation:{pk}")
    versions = now.store.read([], [f"conversation:{pk}"])
    wait_until(lambda: now.store.read([], [f"conversation:{pk}"]) != versions)
    wait_until(lambda: not Outbox.objects.exists())


# --- a full server ----------------------------------------------------------------------------------------------------
def test_a_full_server_is_said_to_be_so_once_and_takes_no_value(
    valkey_server: Valkey, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("conversations:x", "old")
    with out_of_memory(valkey_server):
        for number in range(3):
            cache.set("conversations:x", number)
            assert cache.get("conversations:x") is None
        site.is_right()
    assert caplog.text.count("Cache FULL") == 1
    cache.set("conversations:x", "new")
    assert cache.get("conversations:x") == "new"


def test_what_is_read_while_a_server_is_full_is_not_kept_unseen(
    valkey_server: Valkey, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without versions nobody could tell that it was read before a write had ended."""
    now, pk = get_runtime(), site.chat.instance_id
    cache.touch(f"instance:{pk}")
    claim = now.store.claim_versions

    def claim_late(*arguments: Any) -> Any:
        monkeypatch.setattr(now.store, "claim_versions", claim)
        now.store.begin(b"w" * 16, [f"instance:{pk}"])  # after the look
        return claim(*arguments)

    with out_of_memory(valkey_server):
        monkeypatch.setattr(now.store, "claim_versions", claim_late)
        Instance.objects.fetch(pk)
    assert pk not in now.local.namespace(runtime.namespaces.for_tag("instances")).entries


@pytest.mark.parametrize("first", ["update", "touch", "nothing"])
def test_an_emptied_server_is_noticed_whatever_is_written_to_it_first(
    site: Site, valkey_server: Valkey, first: str
) -> None:
    """Nothing that a write leaves there says that somebody has vouched for it since."""
    before = events().get("strange stores", 0)
    valkey_server.client.flushall()
    if first == "update":
        Conversation.objects.filter(pk=site.chat.pk).update(unread_count=7)
    elif first == "touch":
        cache.clear_namespace("conversations")
    Conversation.objects.fetch(site.chat.pk, fresh=True)
    assert events()["strange stores"] > before
    site.is_right()
