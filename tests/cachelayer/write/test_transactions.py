"""Saves inside and outside of transactions: a cached read always returns what the database would return."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_save
from django.test.utils import CaptureQueriesContext

from cachelayer import cache
from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.write.transactions import TransactionHook
from conversations.models import Contact, Instance
from tests.cachelayer.threads import in_another_thread
from tests.conversations.rows import NOON, an_instance
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


@pytest.fixture
def row() -> Instance:
    """A row that is cached in the local cache and in the shared store."""
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"
    return row


def name_of(row: Instance) -> str:
    return Instance.objects.fetch(row.pk).profile_name


@contextmanager
def queries(number: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as captured:
        yield
    assert len(captured) == number, captured.captured_queries


# --- outside a transaction --------------------------------------------------------------------------------------------
def test_a_save_invalidates_the_row_and_ends_its_intent(row: Instance, cache_runtime: CacheRuntime) -> None:
    row.profile_name = "new"
    row.save()
    with queries(1):
        assert name_of(row) == "new"
    with queries(0):
        assert name_of(row) == "new"
    assert not cache_runtime.in_flight


def test_a_save_that_fails_ends_its_intent(row: Instance, cache_runtime: CacheRuntime) -> None:
    with pytest.raises(IntegrityError):
        Instance.objects.create(name=row.name, server_url=row.server_url)
    assert not cache_runtime.in_flight
    with queries(0):
        assert name_of(row) == "old"


def test_a_save_inside_a_pre_save_receiver_ends_only_its_own_intent(row: Instance, cache_runtime: CacheRuntime) -> None:
    other = an_instance(profile_name="old")
    assert name_of(other) == "old"

    def save_other(instance: Instance, **_signal: Any) -> None:
        if instance == row:
            other.profile_name = "new"
            other.save()
            assert name_of(other) == "new"

    pre_save.connect(save_other, sender=Instance)
    try:
        row.profile_name = "new"
        row.save()
    finally:
        pre_save.disconnect(save_other, sender=Instance)
    assert (name_of(row), name_of(other)) == ("new", "new")
    assert not cache_runtime.in_flight


def test_a_post_save_receiver_reads_the_new_row(row: Instance) -> None:
    names = []

    def read(instance: Instance, **_signal: Any) -> None:
        names.append(name_of(instance))

    post_save.connect(read, sender=Instance)
    try:
        row.profile_name = "new"
        row.save()
    finally:
        post_save.disconnect(read, sender=Instance)
    assert names == ["new"]


def test_a_save_that_bypasses_the_models_save_base_invalidates(row: Instance, cache_runtime: CacheRuntime) -> None:
    """The command `loaddata` calls `Model.save_base` directly (`DeserializedObject.save`)."""
    row.profile_name = "new"
    Model.save_base(row, raw=True)
    assert name_of(row) == "new"
    assert not cache_runtime.in_flight


@pytest.mark.once
def test_a_process_without_a_store_loads_fixtures_and_saves_raw(cache_runtime: CacheRuntime, tmp_path: Path) -> None:
    """Without Redis, only the server owns the cache; the tags of other processes' writes go into the outbox."""
    row = an_instance(profile_name="old")
    fixture = tmp_path / "rows.json"
    fixture.write_text(serializers.serialize("json", [row]), encoding="utf-8")
    cache_runtime.use_configured_store(owns_cache=False)
    writes: list[Callable[[], object]] = [
        lambda: call_command("loaddata", str(fixture), verbosity=0),
        next(serializers.deserialize("json", fixture.read_text(encoding="utf-8"))).save,
        lambda: Instance(pk=row.pk, profile_name="new").save_base(raw=True, update_fields=["profile_name"]),
        lambda: Model.save_base(row, raw=True),
        lambda: Model.save_base(Instance(name="b", created_at=NOON, updated_at=NOON), raw=True),
    ]
    for write in writes:
        Outbox.objects.all().delete()
        write()
        assert any("instances" in one.tags for one in Outbox.objects.all())


# --- inside a transaction ---------------------------------------------------------------------------------------------
def test_a_transaction_reads_its_own_write_and_other_threads_the_committed_row(row: Instance) -> None:
    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        assert name_of(row) == "new"
        if connection.vendor == "postgresql":
            assert in_another_thread(lambda: name_of(row)) == "old"
        assert name_of(row) == "new"
    assert name_of(row) == "new"
    assert in_another_thread(lambda: name_of(row)) == "new"
    with queries(0):
        assert name_of(row) == "new"


def test_rows_loaded_in_a_transaction_are_not_cached() -> None:
    row = an_instance()
    with transaction.atomic():
        Instance.objects.fetch(row.pk)
    with queries(1):
        Instance.objects.fetch(row.pk)


def test_after_a_rollback_reads_return_the_old_row(row: Instance) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        row.profile_name = "new"
        row.save()
        raise ZeroDivisionError
    assert name_of(row) == "old"
    assert in_another_thread(lambda: name_of(row)) == "old"


class RolledBack(Exception):
    """Raised to roll back a transaction."""


def fail_with_an_exception(row: Instance) -> None:
    with transaction.atomic():
        row.save()
        raise RolledBack


def set_rollback(row: Instance) -> None:
    with transaction.atomic():
        row.save()
        transaction.set_rollback(True)


def violate_a_constraint(row: Instance) -> None:
    Instance.objects.filter(pk=row.pk).update(name=None)


def violate_a_constraint_after_a_write(row: Instance) -> None:
    with transaction.atomic():
        row.save()
        Instance.objects.create(pk=row.pk, name="x")


def fail_in_an_inner_block(row: Instance) -> None:
    with transaction.atomic(), suppress(RolledBack), transaction.atomic(savepoint=False):
        row.save()
        raise RolledBack


def fail_after_a_savepoint_was_rolled_back(row: Instance) -> None:
    with transaction.atomic():
        with suppress(RolledBack), transaction.atomic():
            row.save()
            raise RolledBack
        row.save()
        raise RolledBack


def roll_back_by_hand(row: Instance) -> None:
    transaction.set_autocommit(False)
    try:
        row.save()
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


def fail_outside_a_transaction(row: Instance) -> None:
    Instance(pk=row.pk, name="x").save(force_insert=True)


def fail_in_a_delete(row: Instance) -> None:
    def refuse(**_signal: Any) -> None:
        raise RolledBack

    post_delete.connect(refuse, sender=Instance)
    try:
        row.delete()
    finally:
        post_delete.disconnect(refuse, sender=Instance)


def close_the_connection(row: Instance) -> None:
    def save_and_close() -> None:
        with transaction.atomic():
            row.save()
            connection.close()

    in_another_thread(save_and_close)  # a database in memory ends with its connection


FAILURES: list[Callable[[Instance], None]] = [
    fail_with_an_exception,
    set_rollback,
    violate_a_constraint,
    violate_a_constraint_after_a_write,
    fail_in_an_inner_block,
    fail_after_a_savepoint_was_rolled_back,
    roll_back_by_hand,
    fail_outside_a_transaction,
    fail_in_a_delete,
    close_the_connection,
]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_write_is_over_as_soon_as_its_transaction_is(
    row: Instance, cache_runtime: CacheRuntime, fail: Callable[[Instance], None]
) -> None:
    with suppress(RolledBack, IntegrityError, transaction.TransactionManagementError):
        fail(row)
    assert not cache_runtime.in_flight
    states = cache_runtime.store.read([], [f"instance:{row.pk}", "instances:all", "instances"])[1]
    assert not any((state or b"").startswith(b"!") for state in states)
    name_of(row)
    with queries(0):
        assert name_of(row) == "old"


def test_a_value_set_after_a_rollback_is_kept(row: Instance) -> None:
    with suppress(RolledBack):
        fail_with_an_exception(row)
    with suppress(IntegrityError):
        violate_a_constraint(row)
    cache.set("instances:digest", 1)
    assert cache.get("instances:digest") == 1


def test_a_transaction_whose_commit_hooks_were_called_early_gets_a_new_intent(
    row: Instance, cache_runtime: CacheRuntime
) -> None:
    """Django's `TestCase.captureOnCommitCallbacks` calls the commit hooks of a transaction that goes on."""
    with transaction.atomic():
        row.save()
        for _, hook, *_ in connection.run_on_commit:
            hook()
        assert not cache_runtime.in_flight
        row.save()
        assert cache_runtime.in_flight
    assert not cache_runtime.in_flight


def test_a_forked_child_does_not_end_the_intents_of_its_parent(row: Instance, cache_runtime: CacheRuntime) -> None:
    """A child inherits the open transactions of its parent, and may close their connections."""
    with transaction.atomic():
        row.save()
        (hook,) = [getattr(function, "__self__", None) for _, function, *_ in connection.run_on_commit]
        assert isinstance(hook, TransactionHook)
        pid = os.fork()
        if pid == 0:
            connection.run_on_commit = []
            hook.on_commit()
            del hook
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        (state,) = cache_runtime.store.read([], [f"instance:{row.pk}"])[1]
        assert (state or b"").startswith(b"!")


def test_the_intent_survives_the_rollback_of_a_savepoint_and_ends_at_the_commit(
    row: Instance, cache_runtime: CacheRuntime
) -> None:
    """If a savepoint is rolled back, Django drops its `on_commit` callbacks, but the intent must still end."""
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            row.profile_name = "inner"
            row.save()
            raise ZeroDivisionError
        row.profile_name = "outer"
        row.save()
    assert not cache_runtime.in_flight
    assert name_of(row) == "outer"
    with queries(0):
        assert name_of(row) == "outer"


def test_a_transaction_has_one_intent_before_and_after_a_savepoint_that_is_rolled_back(
    cache_runtime: CacheRuntime,
) -> None:
    """When a savepoint is rolled back, Django replaces its list of `on_commit` callbacks."""
    row, other = an_instance(profile_name="old"), an_instance(profile_name="old")
    assert (name_of(row), name_of(other)) == ("old", "old")
    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        with suppress(IntegrityError), transaction.atomic():
            Instance.objects.create(name=other.name, server_url=other.server_url)
        other.profile_name = "new"
        other.save()
        (intent,) = cache_runtime.in_flight
        assert {f"instance:{row.pk}", f"instance:{other.pk}"} <= set(intent.tags)
        if connection.vendor == "postgresql":
            assert in_another_thread(lambda: name_of(row)) == "old"
    assert (name_of(row), name_of(other)) == ("new", "new")
    assert in_another_thread(lambda: name_of(row)) == "new"
    assert not cache_runtime.in_flight


@pytest.mark.parametrize("inner_fails", [False, True])
@pytest.mark.parametrize("outer_fails", [False, True])
def test_nested_transactions_commit_or_roll_back_independently(
    row: Instance, cache_runtime: CacheRuntime, *, inner_fails: bool, outer_fails: bool
) -> None:
    other = an_instance(profile_name="old")
    assert name_of(other) == "old"
    with suppress(ZeroDivisionError), transaction.atomic():
        row.profile_name = "new"
        row.save()
        with suppress(ZeroDivisionError), transaction.atomic():
            other.profile_name = "new"
            other.save()
            if inner_fails:
                raise ZeroDivisionError
        if outer_fails:
            raise ZeroDivisionError
    assert name_of(row) == ("old" if outer_fails else "new")
    assert name_of(other) == ("old" if outer_fails or inner_fails else "new")
    assert not cache_runtime.in_flight


def test_other_commit_hooks_read_the_new_row() -> None:
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"
    names = []
    with transaction.atomic():
        transaction.on_commit(lambda: names.append(name_of(row)))
        row.profile_name = "new"
        row.save()
    assert names == ["new"]


def test_a_commit_hook_that_writes_has_an_intent_of_its_own(row: Instance, cache_runtime: CacheRuntime) -> None:
    def write() -> None:
        row.profile_name = "hook"
        row.save()

    with transaction.atomic():
        transaction.on_commit(write)
        row.profile_name = "new"
        row.save()
    assert name_of(row) == "hook"
    assert not cache_runtime.in_flight


def test_a_transaction_with_too_many_tags_touches_the_namespace(cache_runtime: CacheRuntime) -> None:
    instance = an_instance()
    rows = Contact.objects.bulk_create(Contact(instance=instance, jid=f"{n}@lid", name=f"{n:04}") for n in range(2010))
    assert len(Contact.objects.fetch_many(row.pk for row in rows)) == 2010
    with transaction.atomic():
        for row in rows:
            row.name += "!"
            row.save(update_fields=["name"])
        (intent,) = cache_runtime.in_flight
        assert "contacts" in intent.tags
        assert len(intent.tags) <= 2001
    fetched = Contact.objects.fetch_many(row.pk for row in rows)
    assert all(row.name.endswith("!") for row in fetched.values())


# --- a lost connection ------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_an_intent_is_abandoned_if_the_database_connection_is_lost(cache_runtime: CacheRuntime) -> None:
    """The database may still commit the transaction after the connection to the database was lost."""
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"

    def save_and_lose_the_connection() -> None:
        with transaction.atomic():
            row.profile_name = "new"
            row.save()
            pid = connection.connection.info.backend_pid
            in_another_thread(lambda: connection.cursor().execute("SELECT pg_terminate_backend(%s)", [pid]))
            wait_until(lambda: not _is_alive(pid))
            connection.cursor().execute("SELECT 1")

    with pytest.raises(OperationalError):
        in_another_thread(save_and_lose_the_connection)
    in_another_thread(lambda: name_of(row))
    (state,) = cache_runtime.store.read([], [f"instance:{row.pk}"])[1]
    counts = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
    assert (state or b"").startswith(b"!") or counts.get(("events", "", "abandoned writes"))


def _is_alive(pid: int) -> bool:
    def query() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
            return cursor.fetchone() is not None

    return bool(in_another_thread(query))
