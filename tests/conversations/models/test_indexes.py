"""PostgreSQL reads each list in index order without sorting, and each declared index serves a query."""

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from cachelayer import Page
from conversations.models import Contact, Conversation, Instance, Message, thread
from conversations.search.find import contact_pks, conversation_pks, message_pks
from conversations.search.query import parse
from tests.conversations.models import busy_database
from tests.conversations.rows import NOON

# Without `django_db`, pytest-django creates no database if this module alone is run.
pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]

Node = dict[str, Any]
ALL_ROWS = 10**6  # a page limit above the number of rows in any list


@pytest.fixture(scope="module")
def busy(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Instance]:  # noqa: ARG001
    """Fill the database for all tests of this module; return one of the instances with many rows."""
    with django_db_blocker.unblock(), transaction.atomic():
        with connection.cursor() as cursor:
            # Without the gaps that rolled back tests have left, the plans do not depend on which tests ran before.
            cursor.execute("TRUNCATE conversations_instance CASCADE")
        yield busy_database.fill()
        transaction.set_rollback(True)


def plans(operation: Callable[[], object]) -> list[list[Node]]:
    """Run an operation; return PostgreSQL's plan of each SELECT as a list of plan nodes, the root first."""
    plans_seen: list[list[Node]] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if sql.startswith("SELECT"):
            execute(f"EXPLAIN (FORMAT JSON) {sql}", params, many, context)
            ((output,),) = context["cursor"].fetchall()
            plans_seen.append(list(nodes(output[0]["Plan"])))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        operation()
    return plans_seen


def nodes(plan: Node) -> Iterator[Node]:
    """Yield a node and those below it, without those that add up the sizes of rows (`conversations.db.page_bytes`)."""
    if plan["Node Type"] not in {"Subquery Scan", "WindowAgg"}:
        yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def conversation_messages(instance: Instance, **page: Any) -> Page[Message]:
    return Message.objects.for_conversation(a_long_thread(instance), **page)


conversations = Conversation.objects.for_instance
contacts = Contact.objects.for_instance
messages = Message.objects.for_instance

# (name of an index, function of an instance, `cursor` and `limit` that reads a page with the index)
LISTS: list[tuple[str, Callable[..., Page[Any]]]] = [
    ("instance_by_name", lambda _, **page: Instance.objects.page(**page)),
    ("contact_by_name", contacts),
    ("contact_all_by_name", lambda _, **page: contacts(None, **page)),
    ("conversation_latest", conversations),
    ("conversation_latest", lambda instance, **page: conversations(instance, deleted=None, **page)),
    ("conversation_all_latest", lambda _, **page: conversations(None, **page)),
    ("conversation_pinned", lambda instance, **page: conversations(instance, pinned=True, **page)),
    ("conversation_archived", lambda instance, **page: conversations(instance, archived=True, **page)),
    ("conversation_muted", lambda instance, **page: conversations(instance, muted=True, **page)),
    ("conversation_deleted", lambda instance, **page: conversations(instance, deleted=True, **page)),
    ("conversation_unread", lambda instance, **page: conversations(instance, unread=True, **page)),
    ("conversation_all_unread", lambda _, **page: conversations(None, unread=True, **page)),
    ("message_thread", conversation_messages),
    ("message_timeline", messages),
    ("message_timeline", lambda instance, **page: messages(instance, from_me=True, **page)),
    ("message_all_timeline", lambda _, **page: messages(None, **page)),
    ("message_kind", lambda instance, **page: messages(instance, kind="image", **page)),
    ("message_sender", lambda instance, **page: messages(instance, sender=(a_sender(instance),), **page)),
    ("message_failed", lambda instance, **page: messages(instance, status=Message.Status.FAILED, **page)),
]

# The lists of few rows, which PostgreSQL may sort in the small database of this test.
RARE: list[tuple[str, Callable[..., Page[Any]]]] = [
    ("conversation_other_kind", lambda instance, **page: conversations(instance, kind="group", **page)),
    ("conversation_all_pinned", lambda _, **page: conversations(None, pinned=True, **page)),
    ("conversation_all_archived", lambda _, **page: conversations(None, archived=True, **page)),
    ("conversation_all_muted", lambda _, **page: conversations(None, muted=True, **page)),
    ("conversation_all_deleted", lambda _, **page: conversations(None, deleted=True, **page)),
    ("conversation_all_other_kind", lambda _, **page: conversations(None, kind="group", **page)),
    ("message_all_kind", lambda _, **page: messages(None, kind="image", **page)),
    ("message_all_failed", lambda _, **page: messages(None, status=Message.Status.FAILED, **page)),
]

SEARCHED = parse("pedido atrasado")

# (name of an index, function that finds a row with the index)
LOOKUPS: list[tuple[str, Callable[[Instance], object]]] = [
    ("instance_by_name", lambda _: Instance.objects.by_name("instance 00007")),
    ("message_identity", lambda instance: _upsert(an_empty_thread(instance))),
    ("message_identity", lambda _: messages(None, key_id="3EB0")),
    ("conversation_labels", lambda instance: conversations(instance, label="7")),
    *(
        (index, lambda instance, find=find, scoped=scoped: find(SEARCHED, instance if scoped else None, limit=20))
        for index, find in (
            ("contact_search", contact_pks),
            ("contact_search", conversation_pks),
            ("message_search", message_pks),
            ("message_search_long", message_pks),
        )
        for scoped in (True, False)
    ),
    ("message_thread", lambda instance: thread.first_since(a_long_thread(instance), NOON)),
    ("message_thread", lambda instance: thread.first_unread(a_long_thread(instance))),
    ("message_thread", lambda instance: thread.newest(a_long_thread(instance))),
    ("message_thread", lambda instance: around_the_middle(a_long_thread(instance))),
    ("message_identity", lambda instance: quoted_message(a_long_thread(instance))),
    ("message_with_statements", lambda instance: Message.objects.statements_of(instance, ["1"])),
]


def a_sender(instance: Instance) -> int:
    return int(Message.objects.filter(instance=instance, from_me=False).earliest("pk").sender_id or 0)


def a_long_thread(instance: Instance) -> Conversation:
    return Conversation.objects.filter(instance=instance).earliest("last_message_at", "pk")  # in the order of an index


def an_empty_thread(instance: Instance) -> Conversation:
    """Return a conversation without messages; one with a tenth of all messages may be read by a sequential scan."""
    return Conversation.objects.filter(instance=instance).latest("last_message_at", "pk")


def around_the_middle(conversation: Conversation) -> object:
    time = NOON + dt.timedelta(seconds=busy_database.MESSAGES // 2)
    return thread.read_window(conversation, thread.first_since(conversation, time), before=20, after=20)


def quoted_message(conversation: Conversation) -> object:
    quoted, quoting = conversation.messages.order_by("pk")[:2]
    Message.objects.filter(pk=quoting.pk).update(quoted_key_id=quoted.key_id)
    assert thread.quoted_by(conversation, quoting.pk) == quoted
    return quoted


def _upsert(conversation: Conversation) -> object:
    return Message.objects.upsert(conversation, "3EB0", from_me=True, timestamp=NOON, kind="text")


def first_next_and_previous(read: Callable[..., Page[Any]]) -> list[str]:
    """Return the cursors of a list's first page, of a next page in the middle, and of a previous page."""
    next_cursor = read(limit=len(read(limit=ALL_ROWS).rows) // 2).next_cursor
    previous_cursor = read(cursor=next_cursor, limit=1).previous_cursor
    return ["", next_cursor, previous_cursor]


@pytest.mark.parametrize(("index", "read"), LISTS)
def test_a_page_is_one_index_scan_without_sorting(busy: Instance, index: str, read: Callable[..., Page[Any]]) -> None:
    for cursor in first_next_and_previous(partial(read, busy)):
        *_, plan = plans(partial(read, busy, cursor=cursor, limit=20))
        nodes_used = [(node["Node Type"], node.get("Index Name")) for node in plan]
        assert nodes_used == [("Limit", None), ("Index Scan", index)]


@pytest.mark.parametrize(("index", "read"), RARE)
def test_a_page_of_few_rows_can_be_read_without_sorting(
    busy: Instance, index: str, read: Callable[..., Page[Any]]
) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        *_, plan = plans(partial(read, busy, limit=20))
        transaction.set_rollback(True)
    assert [(node["Node Type"], node.get("Index Name")) for node in plan] == [("Limit", None), ("Index Scan", index)]


SEVERAL = [
    (index, read)
    for index, read in LISTS
    if not index.startswith(("instance", "message_thread", "message_sender")) and "_all_" not in index
]


@pytest.mark.parametrize(("index", "read"), SEVERAL)
@pytest.mark.parametrize("count", [2, 40])
def test_a_page_of_several_instances_sorts_only_the_first_rows_of_each(
    busy: Instance, index: str, read: Callable[..., Page[Any]], count: int
) -> None:
    pks = list(Instance.objects.order_by("name").values_list("pk", flat=True)[:count])
    assert pks[0] == busy.pk
    for cursor in first_next_and_previous(partial(read, pks)):
        *_, plan = plans(partial(read, pks, cursor=cursor, limit=20))
        kinds = [(node["Node Type"], node.get("Index Name")) for node in plan]
        assert kinds[:2] == [("Limit", None), ("Sort", None)]
        assert kinds[2:] == [("Nested Loop", None), ("Function Scan", None), ("Limit", None), ("Index Scan", index)]


@pytest.mark.parametrize(("index", "find"), LOOKUPS)
def test_a_lookup_uses_its_index(busy: Instance, index: str, find: Callable[[Instance], object]) -> None:
    used = [node for plan in plans(lambda: find(busy)) for node in plan]
    assert index in {node.get("Index Name") for node in used}
    assert "Seq Scan" not in {node["Node Type"] for node in used}, [n for n in used if n["Node Type"] == "Seq Scan"]
    assert index != "message_thread" or "Sort" not in {node["Node Type"] for node in used}


def test_a_search_for_messages_looks_up_the_rarest_word_in_the_search_index_alone(busy: Instance) -> None:
    for scope in (busy, None):
        used = [node for plan in plans(partial(message_pks, SEARCHED, scope, limit=20)) for node in plan]
        conditions = [node["Index Cond"] for node in used if node.get("Index Name") == "message_search"]
        assert conditions
        assert all("atrasado" in condition and "pedido" not in condition for condition in conditions)
        assert "BitmapAnd" not in {node["Node Type"] for node in used}


def test_every_index_of_the_four_models_serves_a_query() -> None:
    declared = {index.name for model in (Instance, Contact, Conversation, Message) for index in model._meta.indexes}  # noqa: SLF001
    assert declared <= {index for index, _ in (*LISTS, *RARE, *LOOKUPS)}
