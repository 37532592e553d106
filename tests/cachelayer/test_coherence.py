"""Random ORM writes, raw SQL writes and store faults: after each step, cached reads must agree with the database.

The expected values come from uncached queries. After each step, two threads read from the local cache and the store.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Model
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cachelayer import cache
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Contact, Conversation, Instance, Message
from tests.cachelayer.conftest import wait_until_in_use
from tests.conversations.rows import a_contact, a_group, a_message, an_instance
from tests.effort import effort
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = st.sampled_from(["ana", "bia", "caio", "davi"])
INDEXES = st.integers(0, 5)
LIMIT = 1000  # list length that exceeds the number of rows in any example


class RolledBack(Exception):
    """Raised inside of `atomic` to roll back a transaction or a savepoint."""


class Inbox(RuleBasedStateMachine):
    """The state machine: writes to one instance with contacts and two groups of chat messages.

    Attributes:
        valkey_server: the server that some steps empty, kill or restart; None for a run without store faults.
        hits: the number of cache hits in all examples.
        reads: the number of comparisons with the database in all examples.
    """

    valkey_server: Valkey | None = None
    hits = reads = 0

    @initialize()
    def start(self) -> None:
        Instance.objects.all().delete()
        self.instance = an_instance()
        for _ in range(2):
            a_message(a_group(self.instance))
        self.contacts = [a_contact(self.instance, name="ana") for _ in range(3)]
        self.messages = list(Message.objects.order_by("pk"))
        self.executor = ThreadPoolExecutor(1)
        self.blocks: list[Any] = []
        self.is_running = True

    def teardown(self) -> None:
        while self.blocks:
            self._leave(RolledBack())
        if not self.is_running:
            self.start_server(with_data=False)
        self.executor.submit(connections.close_all).result()
        self.executor.shutdown()
        counts = get_runtime().counters.snapshot(get_runtime().local.namespaces.values())
        Inbox.hits += sum(count for (_, _, name), count in counts.items() if name == "hits")

    # --- writes -------------------------------------------------------------------------------------------------------
    @rule(index=INDEXES, word=WORDS)
    def save(self, index: int, word: str) -> None:
        row = self._contact(index)
        if row is not None:
            row.name = word
            row.save()

    @rule(index=INDEXES, word=WORDS)
    def save_some_fields(self, index: int, word: str) -> None:
        row = self._contact(index)
        if row is not None:
            row.name = word
            row.save(update_fields=["name"])

    @rule(index=INDEXES, word=WORDS, raw=st.booleans())
    def save_a_row_built_in_memory(self, index: int, word: str, raw: bool) -> None:  # noqa: FBT001 - Hypothesis passes rule arguments by name
        row = self._contact(index)
        if row is not None:
            in_memory = Contact(pk=row.pk, name=word)
            if raw:
                Model.save_base(in_memory, raw=True, update_fields=["name"])
            else:
                in_memory.save(update_fields=["name"])

    @rule(index=INDEXES, word=WORDS)
    def save_a_row_whose_owner_was_changed_in_memory(self, index: int, word: str) -> None:
        row = self._contact(index)
        if row is not None:
            row = Contact.objects.fetch(row.pk)
            row.instance_id += 1
            row.name = word
            row.save(update_fields=["name"])

    @rule(index=INDEXES)
    def delete_a_row_built_in_memory(self, index: int) -> None:
        row = self._contact(index)
        if row is not None:
            Contact(pk=row.pk).delete()

    @rule(word=WORDS)
    def update(self, word: str) -> None:
        Contact.objects.filter(name__lt=word).update(name=word)

    @rule(word=WORDS)
    def create(self, word: str) -> None:
        self.contacts.append(a_contact(self.instance, name=word))

    @rule(word=WORDS, number=st.integers(1, 3))
    def create_in_bulk(self, word: str, number: int) -> None:
        new = [Contact(instance=self.instance, jid=f"{time.monotonic_ns()}{n}@lid", name=word) for n in range(number)]
        self.contacts += Contact.objects.bulk_create(new)

    @rule(index=INDEXES, word=WORDS)
    def upsert_in_bulk(self, index: int, word: str) -> None:
        row = self._contact(index)
        if row is not None:
            Contact.objects.bulk_create(
                [Contact(instance=self.instance, jid=row.jid, name=word)],
                update_conflicts=True,
                unique_fields=["instance", "jid"],
                update_fields=["name"],
            )

    @rule(word=WORDS)
    def update_in_bulk(self, word: str) -> None:
        rows = list(Contact.objects.all()[:2])
        for row in rows:
            row.name = word
        Contact.objects.bulk_update(rows, ["name"])

    @rule(word=WORDS, number=st.integers(0, 3))
    def fast_bulk_update(self, word: str, number: int) -> None:
        rows = list(Contact.objects.all()[:number])
        for row in rows:
            row.name = word
        Contact.objects.fast_bulk_update(rows, ["name"])

    @rule(index=INDEXES)
    def delete(self, index: int) -> None:
        row = self._contact(index)
        if row is not None:
            row.delete()

    @rule(word=WORDS)
    def delete_in_bulk(self, word: str) -> None:
        Contact.objects.filter(name=word).delete()

    @rule(index=INDEXES, word=WORDS, in_transaction=st.booleans())
    def write_sql(self, index: int, word: str, in_transaction: bool) -> None:  # noqa: FBT001 - Hypothesis passes rule arguments by name
        """Rename a contact in raw SQL; in a transaction, touch the tags before the SQL, otherwise after the SQL."""
        row = self._contact(index)
        if row is None:
            return
        tags = f"contact:{row.pk}", f"contacts:instance:{self.instance.pk}", "contacts:all"
        if in_transaction:
            with transaction.atomic():
                cache.touch(*tags)
                rename(row.pk, word)
        else:
            rename(row.pk, word)
            cache.touch(*tags)

    @precondition(lambda self: not self.blocks)
    @rule(index=INDEXES, word=WORDS)
    def save_in_another_thread(self, index: int, word: str) -> None:
        row = self._contact(index)
        if row is not None:
            row.name = word
            self.executor.submit(row.save).result()

    @rule(index=INDEXES, word=WORDS)
    def update_or_create(self, index: int, word: str) -> None:
        row = self._contact(index)
        jid = "new@lid" if row is None else row.jid
        self.instance.contacts.update_or_create(instance=self.instance, jid=jid, defaults={"name": word})

    @rule(index=st.integers(0, 1))
    def delete_a_group(self, index: int) -> None:
        """Delete a group, whose chat messages are deleted by an SQL cascade, and create a new group."""
        self._group(index).delete()
        a_group(self.instance)

    @rule(index=INDEXES, to=st.integers(0, 1))
    def move_message(self, index: int, to: int) -> None:
        row = Message.objects.order_by("pk")[index : index + 1].first()
        if row is not None:
            row.conversation = self._group(to)
            row.save()

    @rule(index=INDEXES, word=WORDS)
    def save_a_stale_message(self, index: int, word: str) -> None:
        row = self.messages[index % len(self.messages)]
        if Message.objects.filter(pk=row.pk).exists():  # the row is missing if its insert was rolled back
            row.text = word
            row.save(update_fields=["text"])

    @rule(word=WORDS)
    def send_message(self, word: str) -> None:
        self.messages.append(a_message(self._group(0), text=word))

    # --- transactions -------------------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.blocks) < 3)
    @rule()
    def enter_atomic_block(self) -> None:
        block = transaction.atomic()
        block.__enter__()
        self.blocks.append(block)

    @precondition(lambda self: self.blocks)
    @rule(fails=st.booleans())
    def leave_atomic_block(self, fails: bool) -> None:  # noqa: FBT001 - Hypothesis passes rule arguments by name
        self._leave(RolledBack() if fails else None)

    def _leave(self, error: Exception | None) -> None:
        block = self.blocks.pop()
        with suppress(RolledBack):
            if block.__exit__(type(error) if error else None, error, None) is not True and error:
                raise error

    # --- the store ----------------------------------------------------------------------------------------------------
    @rule(pattern=st.sampled_from(["*", "contacts:*", "contact:*"]))
    def clear(self, pattern: str) -> None:
        cache.clear(pattern)

    @precondition(lambda self: self.valkey_server and self.is_running and not self.blocks)
    @rule()
    def flush(self) -> None:
        assert self.valkey_server is not None
        self.valkey_server.client.flushall()

    @precondition(lambda self: self.valkey_server and self.is_running and not self.blocks)
    @rule(saved=st.booleans())
    def kill_server(self, saved: bool) -> None:  # noqa: FBT001 - Hypothesis passes rule arguments by name
        assert self.valkey_server is not None
        self.valkey_server.delete_dump()
        if saved:
            self.valkey_server.save()
        self.valkey_server.kill()
        self.is_running = False

    @precondition(lambda self: not self.is_running and not self.blocks)
    @rule(with_data=st.booleans())
    def start_server(self, with_data: bool) -> None:  # noqa: FBT001 - Hypothesis passes rule arguments by name
        assert self.valkey_server is not None
        if not with_data:
            self.valkey_server.delete_dump()
        self.valkey_server.start()
        self.is_running = True

    @precondition(lambda self: self.is_running and not self.blocks)
    @rule()
    def wait_for_recovery(self) -> None:
        """Wait until reads use the cache again, because reads that bypass the cache cannot be stale."""
        runtime = get_runtime()
        runtime.store.reinitialize(quarantine=False)
        wait_until_in_use(runtime)

    # --- the invariant ------------------------------------------------------------------------------------------------
    @invariant()
    def reads_agree_with_the_database(self) -> None:
        expected = read_database(self.instance)
        for fresh in (False, True, False):
            assert read_cache(self.instance, fresh=fresh) == expected
        if not self.blocks:
            assert self.executor.submit(read_cache, self.instance, fresh=False).result() == expected
        Inbox.reads += 1

    def _group(self, index: int) -> Conversation:
        """Return one of the two current groups, read from the database because a rollback may have changed them."""
        return Conversation.objects.order_by("pk")[index]

    def _contact(self, index: int) -> Contact | None:
        return Contact.objects.order_by("pk")[index : index + 1].first()


def rename(pk: int, word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_contact SET name = %s WHERE id = %s", [word, pk])


Snapshot = dict[str, Any]


def read_database(instance: Instance) -> Snapshot:
    contacts = {row.pk: row.name for row in Contact.objects.all()}
    max_pk = max(contacts, default=0)
    return {
        "rows": contacts,
        "absent": [pk for pk in range(max_pk, max_pk + 3) if pk not in contacts],
        "list": sorted((name, pk) for pk, name in contacts.items()),
        "values": {word: list(contacts.values()).count(word) for word in ("ana", "bia")},
        "messages": [
            [row.text for row in group.messages.order_by("-timestamp", "-key_id", "-id")]
            for group in Conversation.objects.filter(instance=instance).order_by("pk")
        ],
    }


def read_cache(instance: Instance, *, fresh: bool) -> Snapshot:
    pks = [pk for (pk,) in Contact.objects.values_list("pk")]
    max_pk = max(pks, default=0)
    listed = Contact.objects.for_instance(instance, limit=LIMIT, fresh=fresh).rows
    return {
        "rows": {row.pk: row.name for row in Contact.objects.fetch_many(pks, fresh=fresh).values()},
        "absent": [pk for pk in range(max_pk, max_pk + 3) if not exists(pk, fresh=fresh)],
        "list": sorted((row.name, row.pk) for row in listed),
        "values": {word: count_named(instance, word) for word in ("ana", "bia")},
        "messages": [
            [row.text for row in Message.objects.for_conversation(group, limit=LIMIT, fresh=fresh).rows]
            for group in Conversation.objects.filter(instance=instance).order_by("pk")
        ],
    }


def count_named(instance: Instance, name: str) -> int:
    """Return the cached number of contacts with a name, a value that depends on many rows."""
    return cache.fetch(
        f"contacts:named:{instance.pk}:{name}",
        Contact.objects.filter(name=name).count,
        tags=(f"contacts:instance:{instance.pk}",),
    )


def exists(pk: int, *, fresh: bool) -> bool:
    try:
        return Contact.objects.fetch(pk, fresh=fresh).pk == pk
    except Contact.DoesNotExist:
        return False


def explore(valkey_server: Valkey | None, *, examples: int, steps: int) -> None:
    """Run the state machine, and check that the cache answered enough reads."""
    Inbox.valkey_server, Inbox.hits, Inbox.reads = valkey_server, 0, 0
    run_state_machine_as_test(
        Inbox,
        settings=profile(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert Inbox.hits > Inbox.reads, "the cache was hardly used, so the run shows nothing"


@pytest.mark.usefixtures("cache_runtime")
def test_reads_agree_with_the_database_whatever_is_written() -> None:
    explore(None, examples=effort(8, 100), steps=25)


@pytest.fixture
def outbox_server(request: pytest.FixtureRequest) -> Valkey:
    if connection.vendor == "sqlite":
        pytest.skip("an in-memory SQLite database, and so its outbox, is different in each thread")
    valkey_server: Valkey = request.getfixturevalue("valkey_server")
    return valkey_server


def test_reads_agree_with_the_database_while_the_store_fails_and_returns(outbox_server: Valkey) -> None:
    assert settings.CACHES["default"]["LOCATION"] == outbox_server.url
    explore(outbox_server, examples=effort(6, 100), steps=30)
