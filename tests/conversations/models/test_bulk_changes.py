"""Changes of many conversations: each is changed as alone, portions end and miss nothing, locks and caches hold."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import Conversation, Instance, StateClock
from conversations.models import bulk_changes as bulk
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import ConversationFilters
from tests.conversations.ingest.apply.orders import apply_bodies, facts_of
from tests.conversations.ingest.bodies import PHONE, envelope, text
from tests.conversations.ingest.receive import apply_facts
from tests.conversations.rows import NOON, a_chat, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

LABELS = {"1": {"name": "novo"}, "2": {"name": "antigo", "deleted": True}}
LATER = NOON + dt.timedelta(days=400)
ARGUMENTS = {"mute": LATER, "add_label": "1", "remove_label": "1"}
STATES: list[dict[str, Any]] = [
    {},
    {"is_archived": True, "is_pinned": True, "muted_until": NOON, "labels": {"1": True, "2": True}},
    {"unread_count": 2, "last_message_at": LATER, "labels": {"1": False}},
    {"unread_mark": LATER, "last_message_at": LATER, "read_until": NOON},
    {"unread_mark": NOON, "last_message_at": LATER, "read_until": LATER, "muted_until": LATER},
]


@pytest.fixture
def instance() -> Instance:
    return an_instance(labels=LABELS)


def change(action: str, instances: Any = None, **options: Any) -> bulk.Portion:
    page = {name: options.pop(name) for name in ("cursor", "limit") if name in options}
    filters = ConversationFilters(**{"deleted": None, **options})
    return bulk.change_many(action, filters, instances, argument=ARGUMENTS.get(action), **page)


def portions(action: str, instances: Any = None, **options: Any) -> Iterator[bulk.Portion]:
    cursor = ""
    while True:
        portion = change(action, instances, cursor=cursor, **options)
        yield portion
        if not (cursor := portion.cursor):
            return


def values(row: Conversation) -> dict[str, Any]:
    row.refresh_from_db()
    fields = ("is_archived", "is_pinned", "muted_until", "unread_count", "unread_mark", "labels")
    reading = ("read_until", "read_until_order", "marked_read_until", "marked_read_until_order")
    return {name: getattr(row, name) for name in fields + reading}


@pytest.mark.parametrize("action", ["mark_read", "mark_unread", "archive", "unarchive", "pin", "unpin"])
def test_many_conversations_are_changed_as_one_is(instance: Instance, action: str) -> None:
    alone, together = ([a_chat(instance, **state) for state in STATES] for _ in range(2))
    for row in (alone[0], together[0]):
        a_message(row, timestamp=NOON, sent_order=7)
        Conversation.objects.recount(row.pk)
    expected = []
    for row in alone:
        before = row.updated_at
        changed = getattr(Conversation.objects, action)(row.pk)
        expected.append(changed.updated_at != before if row is not alone[0] else None)
    portion = change(action, ids=tuple(row.pk for row in together))
    assert [values(row) for row in together] == [values(row) for row in alone]
    is_changed = [row.pk in portion.changed for row in together]
    assert is_changed[1:] == expected[1:]
    assert sorted(portion.changed + portion.unchanged) == [row.pk for row in together]


@pytest.mark.parametrize(
    ("action", "name", "found", "changed"),
    [
        ("mute", "muted_until", [LATER] * 5, [0, 1, 2, 3]),
        ("unmute", "muted_until", [None] * 5, [1, 4]),
        ("add_label", "attached_labels", [{"1"}, {"1", "2"}, {"1"}, {"1"}, {"1"}], [0, 2, 3, 4]),
        ("remove_label", "attached_labels", [set(), {"2"}, set(), set(), set()], [1]),
    ],
)
def test_an_action_has_this_effect(
    instance: Instance, action: str, name: str, found: list[Any], changed: list[int]
) -> None:
    rows = [a_chat(instance, **state) for state in STATES]
    portion = change(action)
    for row in rows:
        row.refresh_from_db()
    assert [getattr(row, name) for row in rows] == found
    assert portion.changed == [rows[number].pk for number in changed]


@pytest.mark.parametrize("action", list(ACTIONS))
def test_a_repetition_changes_nothing(instance: Instance, action: str) -> None:
    rows = [a_chat(instance, **state) for state in STATES]
    change(action)
    before = [(values(row), row.updated_at) for row in rows]
    portion = change(action)
    assert (portion.changed, portion.unchanged) == ([], [row.pk for row in rows])
    assert [(values(row), row.updated_at) for row in rows] == before


def test_rows_that_leave_the_filter_are_changed_once_each_and_new_ones_do_not_keep_it_going(
    instance: Instance,
) -> None:
    rows = [a_chat(instance, is_archived=number == 3) for number in range(7)]
    found: list[list[int]] = []
    for portion in portions("archive", archived=False, limit=2):
        found.append(portion.changed)
        for _ in range(2):
            a_chat(instance)
    pks = [row.pk for number, row in enumerate(rows) if number != 3]
    assert found == [pks[:2], pks[2:4], pks[4:], []][: len(found)]
    assert not Conversation.objects.filter(pk__in=pks, is_archived=False).exists()


def test_a_portion_reads_a_part_of_the_table(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_SPAN", 3)
    rows = [a_chat(instance, is_pinned=number in (0, 7)) for number in range(8)]
    found = list(portions("unpin", pinned=True))
    assert [pk for portion in found for pk in portion.changed] == [rows[0].pk, rows[7].pk]
    assert len(found) == 3


def test_a_cursor_tells_nothing_about_other_instances(instance: Instance) -> None:
    other = an_instance()
    a_chat(other)
    rows = [a_chat(instance) for _ in range(3)]
    a_chat(other)
    assert change("pin", [instance.pk], limit=2).cursor == f"{rows[1].pk}-{rows[2].pk}"
    assert change("pin", []).cursor == ""


def test_only_what_is_visible_and_matches_is_changed(instance: Instance) -> None:
    own, foreign = a_chat(instance), a_chat(an_instance())
    deleted = a_chat(instance, is_deleted=True)
    unknown = own.pk + 10**6
    portion = change("pin", [instance.pk], ids=(own.pk, foreign.pk, deleted.pk, unknown), deleted=False)
    assert (portion.changed, portion.not_found) == ([own.pk], [foreign.pk, deleted.pk, unknown])
    assert change("pin", []).changed == []
    assert list(Conversation.objects.filter(is_pinned=True)) == [own]


def test_the_ids_of_several_portions_are_found_or_not_once_each(instance: Instance) -> None:
    rows = [a_chat(instance) for _ in range(4)]
    missing = rows[1].pk
    Conversation.objects.delete(missing)
    found = list(portions("pin", ids=tuple(row.pk for row in rows), limit=2))
    assert [pk for portion in found for pk in portion.not_found] == [missing]
    changed = [pk for portion in found for pk in portion.changed]
    assert changed == [row.pk for row in rows if row.pk != missing]


def test_a_label_is_attached_only_where_the_instance_has_it(instance: Instance) -> None:
    own, foreign = a_chat(instance), a_chat(an_instance())
    attached = a_chat(foreign.instance, labels={"1": True})
    portion = change("add_label")
    assert (portion.changed, portion.unchanged, portion.refused) == ([own.pk], [attached.pk], [foreign.pk])
    deleted = bulk.change_many("add_label", ConversationFilters(ids=(own.pk,)), None, argument="2")
    assert deleted.refused == [own.pk]


def test_events_of_before_undo_no_label(instance: Instance) -> None:
    apply_bodies(instance, text("M1"))
    chat = Conversation.objects.get()
    change("add_label")
    for clock, is_attached in (("2026-01-01T00:00:00.000Z", True), ("2090-01-01T00:00:00.000Z", False)):
        event = {"type": "remove", "chatId": PHONE, "labelId": "1"}
        apply_bodies(instance, envelope("labels.association", event, clock))
        chat.refresh_from_db()
        assert ("1" in chat.attached_labels) is is_attached


@pytest.mark.parametrize("action", list(ACTIONS))
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(instance: Instance, action: str) -> None:
    other = an_instance(labels=LABELS)
    counts = []
    for number in (2, 12):
        Conversation.objects.all().delete()
        StateClock.objects.all().delete()
        for one in (instance, other):
            for state in STATES[:3] * number:
                a_chat(one, **state)
        with CaptureQueriesContext(connection) as queries:
            assert len(change(action).changed) > 1
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_cached_rows_and_lists_show_the_change(instance: Instance) -> None:
    rows = [a_chat(instance), a_group(instance)]
    pks = [row.pk for row in rows]
    lists = {pinned: Conversation.objects.for_instance(instance, pinned=pinned).rows for pinned in (True, False)}
    assert (lists[True], len(lists[False])) == ([], 2)
    assert not any(row.is_pinned for row in Conversation.objects.fetch_many(pks).values())
    change("pin")
    assert all(row.is_pinned for row in Conversation.objects.fetch_many(pks).values())
    assert len(Conversation.objects.for_instance(instance, pinned=True).rows) == 2
    assert Conversation.objects.for_instance(instance, pinned=False).rows == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_changes_of_many_rows_and_batches_do_not_deadlock() -> None:
    """Each batch locks and merges conversations in another order than that of their primary keys."""
    instances = [an_instance(labels=LABELS) for _ in range(2)]
    people = [(f"55219876543{n:02}@s.whatsapp.net", f"2048573169401{n:02}@lid") for n in range(8)]
    first = [text(f"A{n}", jid) for n, jid in enumerate(jid for pair in people for jid in pair)]
    for instance in instances:
        apply_bodies(instance, *first)

    def ingest(instance: Instance) -> None:
        try:
            for n, (phone, lid) in reversed(list(enumerate(people))):
                facts = [
                    fact
                    for body in (text(f"B{n}", lid), text(f"C{n}", phone, key={"remoteJidAlt": lid}), *first[:4])
                    for fact in facts_of(body)
                ]
                apply_facts(instance, facts)
        finally:
            connection.close()

    def change_all(actions: tuple[str, ...]) -> None:
        try:
            for _ in range(8):
                for action in actions:
                    change(action, [one.pk for one in instances])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(ingest, instance) for instance in instances]
        work += [pool.submit(change_all, actions) for actions in (("pin", "add_label"), ("unpin", "mark_read"))]
        for done in work:
            done.result()
    assert Conversation.objects.count() == 2 * len(people)
