"""Whatever is written, in whatever way, and whatever happens to the store: a read says what the database says.

The oracle is the ORM without the cache. Both tiers are asked, by this thread and by another one.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
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
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = st.sampled_from(["ana", "bia", "caio", "davi"])
PLACES = st.integers(0, 5)
LIMIT = 1000  # rows; more than any example makes


class RolledBack(Exception):
    """Ends a transaction or a savepoint without its writes."""


class Inbox(RuleBasedStateMachine):
    """Two groups of an instance, contacts and messages."""

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
        self.depth = 0
        self.executor = ThreadPoolExecutor(1)
        self.stack: list[Any] = []
        self.is_up = True

    def teardown(self) -> None:
        while self.stack:
            self._leave(RolledBack())
        if not self.is_up:
            self.come_back(with_data=False)
        self.executor.submit(connections.close_all).result()
        self.executor.shutdown()
        counts = get_runtime().counters.snapshot(get_runtime().local.namespaces.values())
        Inbox.hits += sum(times for (_, _, what), times in counts.items() if what == "hits")

    # --- writes -------------------------------------------------------------------------------------------------------
    @rule(place=PLACES, word=WORDS)
    def save(self, place: int, word: str) -> None:
        row = self._contact(place)
        if row is not None:
            row.name = word
            row.save()

    @rule(place=PLACES, word=WORDS)
    def save_some_fields(self, place: int, word: str) -> None:
        row = self._contact(place)
        if row is not None:
            row.name = word
            row.save(update_fields=["name"])

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

    @rule(place=PLACES, word=WORDS)
    def create_or_change_in_bulk(self, place: int, word: str) -> None:
        row = self._contact(place)
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
    def save_together(self, word: str, number: int) -> None:
        rows = list(Contact.objects.all()[:number])
        for row in rows:
            row.name = word
        Contact.objects.fast_bulk_update(rows, ["name"])

    @rule(place=PLACES)
    def delete(self, place: int) -> None:
        row = self._contact(place)
        if row is not None:
            row.delete()

    @rule(word=WORDS)
    def delete_in_bulk(self, word: str) -> None:
        Contact.objects.filter(name=word).delete()

    @rule(place=PLACES, word=WORDS, in_transaction=st.booleans())
    def write_sql(self, place: int, word: str, in_transaction: bool) -> None:  # noqa: FBT001 - a rule's argument
        """In a transaction the touch comes first, else afterwards."""
        row = self._contact(place)
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

    @precondition(lambda self: not self.stack)
    @rule(place=PLACES, word=WORDS)
    def save_elsewhere(self, place: int, word: str) -> None:
        """In another thread, as another request does."""
        row = self._contact(place)
        if row is not None:
            row.name = word
            self.executor.submit(row.save).result()

    @rule(place=PLACES, word=WORDS)
    def update_or_create(self, place: int, word: str) -> None:
        row = self._contact(place)
        jid = "new@lid" if row is None else row.jid
        self.instance.contacts.update_or_create(instance=self.instance, jid=jid, defaults={"name": word})

    @rule(place=st.integers(0, 1))
    def delete_a_group(self, place: int) -> None:
        """With its messages, in SQL; another one takes its place."""
        self._group(place).delete()
        a_group(self.instance)

    @rule(place=PLACES, to=st.integers(0, 1))
    def move_message(self, place: int, to: int) -> None:
        row = Message.objects.order_by("pk")[place : place + 1].first()
        if row is not None:
            row.conversation = self._group(to)
            row.save()

    @rule(place=PLACES, word=WORDS)
    def save_a_stale_message(self, place: int, word: str) -> None:
        row = self.messages[place % len(self.messages)]
        if Message.objects.filter(pk=row.pk).exists():  # its creation may have been rolled back
            row.text = word
            row.save(update_fields=["text"])

    @rule(word=WORDS)
    def send_message(self, word: str) -> None:
        self.messages.append(a_message(self._group(0), text=word))

    # --- transactions -------------------------------------------------------------------------------------------------
    @precondition(lambda self: len(self.stack) < 3)
    @rule()
    def begin(self) -> None:
        block = transaction.atomic()
        block.__enter__()
        self.stack.append(block)

    @precondition(lambda self: self.stack)
    @rule(fails=st.booleans())
    def leave(self, fails: bool) -> None:  # noqa: FBT001 - a rule's argument
        self._leave(RolledBack() if fails else None)

    def _leave(self, error: Exception | None) -> None:
        block = self.stack.pop()
        with suppress(RolledBack):
            if block.__exit__(type(error) if error else None, error, None) is not True and error:
                raise error

    # --- the store ----------------------------------------------------------------------------------------------------
    @rule(pattern=st.sampled_from(["*", "contacts:*", "contact:*"]))
    def clear(self, pattern: str) -> None:
        cache.clear(pattern)

    @precondition(lambda self: self.server and self.is_up and not self.stack)
    @rule()
    def flush(self) -> None:
        assert self.server is not None
        self.server.client.flushall()

    @precondition(lambda self: self.server and self.is_up and not self.stack)
    @rule(saved=st.booleans())
    def go_away(self, saved: bool) -> None:  # noqa: FBT001 - as above
        assert self.server is not None
        self.server.forget()
        if saved:
            self.server.save()
        self.server.stop()
        self.is_up = False

    @precondition(lambda self: not self.is_up and not self.stack)
    @rule(with_data=st.booleans())
    def come_back(self, with_data: bool) -> None:  # noqa: FBT001 - as above
        assert self.server is not None
        if not with_data:
            self.server.forget()
        self.server.start()
        self.is_up = True

    @precondition(lambda self: self.is_up and not self.stack)
    @rule()
    def calm_down(self) -> None:
        """Let both tiers come back into use, so that there is something to be wrong."""
        now = get_runtime()
        now.store.reinitialize(quarantine=False)
        wait_until_in_use(now)

    # --- what must hold -----------------------------------------------------------------------------------------------
    @invariant()
    def a_read_says_what_the_database_says(self) -> None:
        expected = said_by_the_database(self.instance)
        for fresh in (False, True, False):
            assert said_by_the_cache(self.instance, fresh=fresh) == expected
        if not self.stack:
            there = self.executor.submit(said_by_the_cache, self.instance, fresh=False).result()
            assert there == expected
        Inbox.reads += 1

    def _group(self, place: int) -> Conversation:
        """One of the two, as they are now: what made or deleted them may have been rolled back."""
        return Conversation.objects.order_by("pk")[place]

    def _contact(self, place: int) -> Contact | None:
        return Contact.objects.order_by("pk")[place : place + 1].first()


def rename(pk: int, word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_contact SET name = %s WHERE id = %s", [word, pk])


Said = dict[str, Any]


def said_by_the_database(instance: Instance) -> Said:
    contacts = {row.pk: row.name for row in Contact.objects.all()}
    greatest = max(contacts, default=0)
    return {
        "rows": contacts,
        "absent": [pk for pk in range(greatest, greatest + 3) if pk not in contacts],
        "list": sorted((name, pk) for pk, name in contacts.items()),
        "values": {word: list(contacts.values()).count(word) for word in ("ana", "bia")},
        "messages": [
            [row.text for row in group.messages.order_by("-timestamp", "-key_id", "-id")]
            for group in Conversation.objects.filter(instance=instance).order_by("pk")
        ],
    }


def said_by_the_cache(instance: Instance, *, fresh: bool) -> Said:
    everyone = [pk for (pk,) in Contact.objects.values_list("pk")]
    greatest = max(everyone, default=0)
    listed = Contact.objects.for_instance(instance, limit=LIMIT, fresh=fresh).rows
    return {
        "rows": {row.pk: row.name for row in Contact.objects.fetch_many(everyone, fresh=fresh).values()},
        "absent": [pk for pk in range(greatest, greatest + 3) if not exists(pk, fresh=fresh)],
        "list": sorted((row.name, row.pk) for row in listed),
        "values": {word: number_of(instance, word) for word in ("ana", "bia")},
        "messages": [
            [row.text for row in Message.objects.for_conversation(group, limit=LIMIT, fresh=fresh).rows]
            for group in Conversation.objects.filter(instance=instance).order_by("pk")
        ],
    }


def number_of(instance: Instance, name: str) -> int:
    """A value that depends on rows."""
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
    """Run the machine, and see that it met a cache that was in use."""
    Inbox.server, Inbox.hits, Inbox.reads = valkey_server, 0, 0
    run_state_machine_as_test(
        Inbox,
        settings=profile(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert Inbox.hits > Inbox.reads, "the cache was hardly in use: nothing was shown"


@pytest.mark.usefixtures("cache_runtime")
def test_a_read_says_what_the_database_says() -> None:
    explore(None, examples=15, steps=25)


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Valkey:
    if connection.vendor == "sqlite":
        pytest.skip("the outbox of an in-memory database is another one in each thread")
    valkey_server: Valkey = request.getfixturevalue("valkey_server")
    return valkey_server


def test_the_same_while_the_store_comes_and_goes(failing: Valkey) -> None:
    assert settings.CACHES["default"]["LOCATION"] == failing.url
    explore(failing, examples=12, steps=30)
