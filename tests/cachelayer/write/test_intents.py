"""A write and its intents: what is held, what is only in the outbox, and what is over."""

import threading
from contextlib import suppress

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from cachelayer.models import Outbox
from cachelayer.runtime.in_flight import InFlightWrites
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown
from cachelayer.write import intents, outbox
from cachelayer.write.intents import WriteIntent
from conversations.models import Instance
from tests.cachelayer.conftest import wait_until
from tests.cachelayer.write.test_transactions import in_a_thread, name_of
from tests.conversations.rows import an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)


def nothing(_tags: object) -> None:
    """Record nothing."""


@pytest.mark.usefixtures("cache_runtime")
def test_a_savepoint_that_is_rolled_back_ends_nothing(cache_runtime: CacheRuntime) -> None:
    """Django makes its list of commit hooks anew then."""
    row, other = an_instance(profile_name="old"), an_instance(profile_name="old")
    assert (name_of(row), name_of(other)) == ("old", "old")
    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        with suppress(IntegrityError), transaction.atomic():
            Instance.objects.create(name=other.name, server_url=other.server_url)
        other.profile_name = "new"
        other.save()
        (write,) = cache_runtime.in_flight
        assert {f"instance:{row.pk}", f"instance:{other.pk}"} <= set(write.tags)
        if connection.vendor == "postgresql":
            assert in_a_thread(lambda: name_of(row)) == "old"
    assert (name_of(row), name_of(other)) == ("new", "new")
    assert in_a_thread(lambda: name_of(row)) == "new"
    assert not cache_runtime.in_flight


@pytest.mark.usefixtures("cache_runtime")
def test_it_ends_before_other_hooks_of_the_commit_read() -> None:
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"
    seen = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(name_of(row)))
        row.profile_name = "new"
        row.save()
    assert seen == ["new"]


@pytest.mark.postgresql
def test_what_a_savepoint_took_out_of_the_outbox_goes_into_it_again(valkey_server: Valkey) -> None:
    row = an_instance(profile_name="old")
    valkey_server.stop()
    with transaction.atomic():
        row.profile_name = "new"
        with suppress(ZeroDivisionError), transaction.atomic():
            row.save()
            assert Outbox.objects.exists()
            raise ZeroDivisionError
        assert not Outbox.objects.exists()
        row.save()
    assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")


@pytest.mark.usefixtures("cache_runtime")
def test_whoever_only_writes_has_its_intents_kept_alive_too(cache_runtime: CacheRuntime) -> None:
    if cache_runtime.threads is None:
        pytest.skip("without a server only one process has a keeper")
    cache_runtime.threads.stop()
    is_awake = threading.Event()
    cache_runtime.ensure_started = is_awake.set  # type: ignore[method-assign]  # to see that it is asked for
    WriteIntent(cache_runtime, nothing, nothing).begin(["instance:1"])
    assert is_awake.is_set()


@pytest.mark.usefixtures("cache_runtime")
def test_what_was_to_be_renewed_long_ago_is_announced_again(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WriteIntent(cache_runtime, nothing, nothing)
    write.begin(["instance:1"])
    cache_runtime.store.end(write.id, ["instance:1"])  # as if it had expired
    write.begin(["instance:1"])
    assert not is_held(cache_runtime, "instance:1"), "it was told only a moment ago"
    monkeypatch.setattr(intents, "RENEWAL_DEADLINE", -1.0)
    write.begin(["instance:2"])
    assert is_held(cache_runtime, "instance:1")
    assert is_held(cache_runtime, "instance:2")
    write.end()


def is_held(now: CacheRuntime, tag: str) -> bool:
    (state,) = now.store.read([], [tag])[1]
    return bool(state and state.startswith(b"!"))


@pytest.mark.usefixtures("cache_runtime")
def test_an_end_that_the_store_does_not_hear_of_goes_into_the_outbox(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_instance(profile_name="old")

    def fail(*_: object) -> None:
        raise StoreDown("cut off")

    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        monkeypatch.setattr(cache_runtime.store, "end", fail)
    assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")
    monkeypatch.undo()
    outbox.drain(cache_runtime)
    assert name_of(row) == "new"


def test_the_live_writes_can_be_looked_at_while_others_come_and_go(cache_runtime: CacheRuntime) -> None:
    live, goes_on = InFlightWrites(), True

    def churn() -> None:
        while goes_on:
            write = WriteIntent(cache_runtime, nothing, nothing)
            live.add(write)
            live.discard(write)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20_000):
        list(live)
    goes_on = False
    for thread in threads:
        thread.join()
    assert not live


@pytest.mark.postgresql
@pytest.mark.usefixtures("cache_runtime")
def test_a_write_whose_connection_is_lost_is_not_ended(cache_runtime: CacheRuntime) -> None:
    """The database may commit it yet."""
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"

    def save_and_be_cut_off() -> None:
        with transaction.atomic():
            row.profile_name = "new"
            row.save()
            pid = connection.connection.info.backend_pid
            in_a_thread(lambda: connection.cursor().execute("SELECT pg_terminate_backend(%s)", [pid]))
            wait_until(lambda: not _is_alive(pid))
            connection.cursor().execute("SELECT 1")

    def lose() -> None:
        with pytest.raises(OperationalError):
            save_and_be_cut_off()

    in_a_thread(lose)
    in_a_thread(lambda: name_of(row))
    counted = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
    assert is_held(cache_runtime, f"instance:{row.pk}") or counted.get(("events", "", "abandoned writes"))


def _is_alive(pid: int) -> bool:
    def ask() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
            return cursor.fetchone() is not None

    return bool(in_a_thread(ask))
