"""Each index is used by a query, and each list's query by an index: no table is read whole, nothing is sorted."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from cachelayer import Page
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.models import inbox
from tests.conversations.rows import NOON

pytestmark = pytest.mark.postgresql

Node = dict[str, Any]
EVERYTHING = 10**6  # rows
FEW = 100  # of all instances: with many more it is cheaper to sort them


@pytest.fixture(scope="module")
def busy(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Instance]:  # noqa: ARG001
    """An instance with many rows among others, for all tests of this module."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield inbox.fill()
        transaction.set_rollback(True)


def plans(operation: Callable[[], object]) -> list[list[Node]]:
    """Run an operation; return PostgreSQL's plan of each SELECT it sends, as the nodes from the top down."""
    found: list[list[Node]] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if sql.startswith("SELECT"):
            execute(f"EXPLAIN (FORMAT JSON) {sql}", params, many, context)
            ((answer,),) = context["cursor"].fetchall()
            found.append(list(nodes(answer[0]["Plan"])))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        operation()
    return found


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def thread(instance: Instance, **page: Any) -> Page[Message]:
    first = Conversation.objects.filter(instance=instance).earliest("pk")
    return Message.objects.for_conversation(first, **page)


def changes(instance: Instance, **page: Any) -> Page[Conversation]:
    """What changed in the second half of the time."""
    rows = Conversation.objects.filter(instance=instance).order_by("updated_at")
    return Conversation.objects.for_instance(instance, updated_after=rows[inbox.CHATS // 2].updated_at, **page)


def all_changes(_: Instance, **page: Any) -> Page[Conversation]:
    """The latest changes of all instances."""
    rows = Conversation.objects.order_by("-updated_at")
    return Conversation.objects.for_instance(None, updated_after=rows[FEW].updated_at, **page)


conversations = Conversation.objects.for_instance
contacts = Contact.objects.for_instance
messages = Message.objects.for_instance

# (the index, a list that needs it, as a function of an instance and of a page's `cursor`)
LISTS: list[tuple[str, Callable[..., Page[Any]]]] = [
    ("instance_by_name", lambda _, **page: Instance.objects.page(**page)),
    ("contact_by_name", contacts),
    ("contact_all_by_name", lambda _, **page: contacts(None, **page)),
    ("conversation_latest", conversations),
    ("conversation_latest", lambda instance, **page: conversations(instance, deleted=None, **page)),
    ("conversation_all_latest", lambda _, **page: conversations(None, **page)),
    ("conversation_updated", changes),
    ("conversation_all_updated", all_changes),
    ("conversation_pinned", lambda instance, **page: conversations(instance, pinned=True, **page)),
    ("conversation_archived", lambda instance, **page: conversations(instance, archived=True, **page)),
    ("conversation_archived", lambda instance, **page: conversations(instance, archived=False, **page)),
    ("conversation_unread", lambda instance, **page: conversations(instance, unread=True, **page)),
    ("conversation_all_unread", lambda _, **page: conversations(None, unread=True, **page)),
    ("message_thread", thread),
    ("message_timeline", messages),
    ("message_timeline", lambda instance, **page: messages(instance, from_me=True, **page)),
    ("message_all_timeline", lambda _, **page: messages(None, **page)),
]

# (the index, an operation that finds its row by it)
LOOKUPS: list[tuple[str, Callable[[Instance], object]]] = [
    ("instance_by_name", lambda _: Instance.objects.by_name("instance 00007")),
    ("message_identity", lambda instance: _upsert(instance.conversations.earliest("pk"))),
]


def _upsert(conversation: Conversation) -> object:
    return Message.objects.upsert(conversation, "3EB0", from_me=True, timestamp=NOON, kind="text")


def three_pages(read: Callable[..., Page[Any]]) -> list[str]:
    """Return the cursors of the first page, and of those after and before the middle of the list."""
    after = read(limit=len(read(limit=EVERYTHING).rows) // 2).next_cursor
    before = read(cursor=after, limit=1).previous_cursor
    return ["", after, before]


@pytest.mark.parametrize(("index", "read"), LISTS)
def test_a_page_is_read_along_one_index_and_nothing_is_sorted(
    busy: Instance, index: str, read: Callable[..., Page[Any]]
) -> None:
    for cursor in three_pages(partial(read, busy)):
        *_, plan = plans(partial(read, busy, cursor=cursor, limit=20))
        steps = [(node["Node Type"], node.get("Index Name")) for node in plan]
        assert steps == [("Limit", None), ("Index Scan", index)]


@pytest.mark.parametrize(("index", "find"), LOOKUPS)
def test_a_row_is_found_by_an_index(busy: Instance, index: str, find: Callable[[Instance], object]) -> None:
    found = [node for plan in plans(lambda: find(busy)) for node in plan]
    assert index in {node.get("Index Name") for node in found}
    assert "Seq Scan" not in {node["Node Type"] for node in found}


def test_every_index_of_the_four_models_is_one_that_a_query_needs() -> None:
    declared = {index.name for model in (Instance, Contact, Conversation, Message) for index in model._meta.indexes}  # noqa: SLF001
    assert declared <= {index for index, _ in (*LISTS, *LOOKUPS)}
