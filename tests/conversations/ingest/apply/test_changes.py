"""Changes that people make here, between events: no event of before undoes them, and the rest converges as ever."""

from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.models import Contact, Conversation, Instance
from tests.conversations.ingest.apply.orders import apply_bodies, new_instance
from tests.conversations.ingest.bodies import GROUP, LID, PHONE, Body, envelope, text
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.conversations.ingest.streams import events as any_event
from tests.effort import effort

pytestmark = pytest.mark.django_db

EXAMPLES = effort(8 if connection.vendor == "sqlite" else 5, 300)
on_new_instances = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])

EARLIER, LATER = "2026-01-01T00:00:00.000Z", "2090-01-01T00:00:00.000Z"  # than the changes
LABEL = {"7": {"name": "pago"}}


def label(jid: str, kind: str, clock: str) -> Body:
    return envelope("labels.association", {"type": kind, "chatId": jid, "labelId": "7"}, clock)


def group_name(name: str, clock: str) -> Body:
    return envelope("groups.update", [{"id": GROUP, "subject": name}], clock)


def saved_name(jid: str, name: str, clock: str) -> Body:
    return envelope("contacts.upsert", [{"remoteJid": jid, "pushName": name}], clock)


def read_elsewhere(key_id: str, jid: str = PHONE) -> Body:
    return envelope("messages.update", {"keyId": key_id, "remoteJid": jid, "fromMe": False, "status": "READ"})


later_events = st.builds(
    label, st.sampled_from([PHONE, LID, GROUP]), st.sampled_from(["add", "remove"]), st.just(LATER)
) | st.builds(group_name, st.sampled_from(["Um", "Dois"]), st.just(LATER))


def an_instance_with(*bodies: Body) -> Instance:
    instance = new_instance()
    Instance.objects.filter(pk=instance.pk).update(labels=LABEL)
    apply_bodies(instance, *bodies)
    return instance


def change_all(instance: Instance) -> None:
    """Change every conversation of an instance, in an order that does not depend on the order of events."""
    for number, row in enumerate(Conversation.objects.filter(instance=instance).order_by("jid")):
        labels = [] if row.attached_labels else ["7"]
        Conversation.objects.change(row.pk, custom_name=f"Nome {number}", labels=labels, is_archived=number % 2 == 0)
        if number % 2:
            Conversation.objects.mark_read(row.pk)
        Conversation.objects.mark_unread(row.pk)


def rows_without_clocks(instance: Instance) -> Rows:
    """Return the rows of an instance, without the clocks, which contain the time of the changes."""
    return {name: rows for name, rows in rows_of(instance).items() if name != "clocks"}


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Body], list[Body], list[Body]]:
    """Draw events before a change, events after it, and a permutation of these with some of the earlier ones."""
    before = draw(st.lists(any_event | st.builds(text, st.just("M1")), min_size=1, max_size=4))
    after = draw(st.lists(any_event | later_events, min_size=1, max_size=4))
    return before, after, draw(st.permutations(after + draw(st.lists(st.sampled_from(before + after), max_size=3))))


@on_new_instances
@given(streams())
def test_events_around_a_change_give_the_same_rows_in_any_order(drawn: tuple[list[Body], ...]) -> None:
    before, *orders = drawn
    found = []
    for order in orders:
        instance = an_instance_with(*before)
        change_all(instance)
        apply_bodies(instance, *order)
        found.append(rows_without_clocks(instance))
    assert found[0] == found[1]


@on_new_instances
@given(st.lists(any_event, min_size=1, max_size=5), st.randoms())
def test_repeated_events_undo_no_change(before: list[Body], random: Any) -> None:
    instance = an_instance_with(*before)
    change_all(instance)
    rows = rows_of(instance)
    again = before * 2
    random.shuffle(again)
    apply_bodies(instance, *again)
    assert rows_of(instance) == rows


@pytest.mark.parametrize("jid", [PHONE, GROUP])
@pytest.mark.parametrize(("clock", "is_attached"), [(EARLIER, True), (LATER, False)])
def test_only_a_later_event_detaches_a_label(jid: str, clock: str, *, is_attached: bool) -> None:
    instance = an_instance_with(text("M1", jid))
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.change(chat.pk, labels=["7"])
    apply_bodies(instance, label(jid, "remove", clock))
    chat.refresh_from_db()
    assert ("7" in chat.attached_labels) is is_attached


def test_a_label_that_was_detached_here_is_not_attached_by_an_earlier_event() -> None:
    instance = an_instance_with(text("M1"))
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.change(chat.pk, labels=[])
    for clock, labels in ((EARLIER, set()), (LATER, {"7"})):
        apply_bodies(instance, label(PHONE, "add", clock))
        chat.refresh_from_db()
        assert chat.attached_labels == labels


def test_a_change_undoes_an_event_whose_clock_is_ahead() -> None:
    event = label(PHONE, "add", LATER)
    instance = an_instance_with(text("M1"), event)
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.change(chat.pk, labels=[])
    apply_bodies(instance, event)
    chat.refresh_from_db()
    assert chat.attached_labels == set()


def test_names_from_whatsapp_wait_behind_a_name_that_was_given_here() -> None:
    instance = an_instance_with(text("M1", pushName="Mari"), group_name("Vendas", EARLIER))
    direct, group = Conversation.objects.filter(instance=instance).order_by("kind")
    for row in (direct, group):
        Conversation.objects.change(row.pk, custom_name="Aqui")
    apply_bodies(instance, saved_name(PHONE, "Mariana Couto", LATER), group_name("Vendas 2027", LATER))
    for row in (direct, group):
        row.refresh_from_db()
        assert (row.name, row.custom_name) == ("Aqui", "Aqui")
    names = [Conversation.objects.change(row.pk, custom_name=None).name for row in (direct, group)]
    assert names == ["Mariana Couto", "Vendas 2027"]
    assert Contact.objects.get(instance=instance).name == "Mariana Couto"
    apply_bodies(instance, group_name("Vendas 2026", EARLIER))
    group.refresh_from_db()
    assert group.name == "Vendas 2027"


@pytest.mark.parametrize("first", [PHONE, LID])
@pytest.mark.parametrize("latest", [PHONE, LID])
@pytest.mark.parametrize("name", ["Aqui", "Zélia", None])
def test_of_two_halves_of_a_person_the_later_name_stays(first: str, latest: str, name: str | None) -> None:
    other = LID if first == PHONE else PHONE
    instance = an_instance_with(text("M1", first), text("M2", other))
    contacts = {row.jid: row for row in Contact.objects.filter(instance=instance)}
    renamed = [jid for jid in contacts if jid != latest] + [latest]
    for jid, given_name in zip(renamed, ["Mariana", name], strict=True):
        Contact.objects.rename(contacts[jid].pk, given_name)
    apply_bodies(instance, text("M3", PHONE, key={"remoteJidAlt": LID}))
    chat, contact = Conversation.objects.get(instance=instance), Contact.objects.get(instance=instance)
    assert (contact.custom_name, chat.custom_name) == (name, name)
    assert contact.name == chat.name == (name or "")


@pytest.mark.parametrize("named", [PHONE, LID])
def test_a_name_of_one_half_is_the_name_of_the_person(named: str) -> None:
    instance = an_instance_with(text("M1", PHONE, pushName="Ana"), text("M2", LID, pushName="Aninha", at=1))
    Contact.objects.rename(Contact.objects.get(instance=instance, jid=named).pk, "Aqui")
    apply_bodies(instance, text("M3", PHONE, key={"remoteJidAlt": LID}, at=2))
    chat = Conversation.objects.get(instance=instance)
    assert (chat.name, chat.custom_name) == ("Aqui", "Aqui")
    assert Conversation.objects.change(chat.pk, custom_name=None).name in ("Ana", "Aninha")


# --- read and unread --------------------------------------------------------------------------------------------------
def unread(instance: Instance) -> list[tuple[int, bool]]:
    rows = Conversation.objects.filter(instance=instance).order_by("jid")
    return [(row.unread_count, row.is_marked_unread) for row in rows]


def test_repeated_receipts_do_not_clear_the_mark_and_later_reading_does() -> None:
    receipts = [text("M1"), read_elsewhere("M1")]
    instance = an_instance_with(*receipts)
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.mark_unread(chat.pk)
    apply_bodies(instance, *receipts)
    assert unread(instance) == [(0, True)]
    apply_bodies(instance, text("M2", at=10))
    assert unread(instance) == [(1, True)]
    apply_bodies(instance, read_elsewhere("M2"))
    assert unread(instance) == [(0, False)]
    apply_bodies(instance, *receipts)
    assert unread(instance) == [(0, False)]


def test_a_conversation_marked_with_unread_messages_stays_unread_when_the_phone_reads_them() -> None:
    instance = an_instance_with(text("M1"))
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.mark_unread(chat.pk)
    assert unread(instance) == [(1, True)]
    apply_bodies(instance, read_elsewhere("M1"))
    assert unread(instance) == [(0, True)]
    apply_bodies(instance, text("M2", at=10), read_elsewhere("M2"))
    assert unread(instance) == [(0, False)]


def test_writing_on_the_phone_clears_the_mark() -> None:
    instance = an_instance_with(text("M1"))
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.mark_read(chat.pk)
    Conversation.objects.mark_unread(chat.pk)
    apply_bodies(instance, text("M2", from_me=True, at=10, source="android"))
    assert unread(instance) == [(0, False)]


def test_messages_of_before_that_come_late_do_not_clear_the_mark() -> None:
    instance = an_instance_with(text("M2", at=10))
    chat = Conversation.objects.get(instance=instance)
    Conversation.objects.mark_read(chat.pk)
    Conversation.objects.mark_unread(chat.pk)
    apply_bodies(instance, text("M1"), text("M0", from_me=True, source="android"), read_elsewhere("M1"))
    assert unread(instance) == [(0, True)]


@pytest.mark.parametrize("marked", [[PHONE], [LID], [PHONE, LID]])
@pytest.mark.parametrize("is_read_before", [True, False])
def test_halves_that_are_marked_as_unread_become_one_that_is(marked: list[str], *, is_read_before: bool) -> None:
    link, read = text("M3", PHONE, key={"remoteJidAlt": LID}, at=20), read_elsewhere("M3")
    instance = an_instance_with(text("M1", PHONE), text("M2", LID, at=1))
    for row in Conversation.objects.filter(instance=instance):
        Conversation.objects.mark_read(row.pk)
        if row.jid in marked:
            Conversation.objects.mark_unread(row.pk)
    assert sorted(is_marked for _, is_marked in unread(instance)) == sorted(jid in marked for jid in (PHONE, LID))
    apply_bodies(instance, *([read, link] if is_read_before else [link]))
    assert unread(instance) == ([(0, False)] if is_read_before else [(1, LID in marked)])
    apply_bodies(instance, read)
    assert unread(instance) == [(0, False)]
