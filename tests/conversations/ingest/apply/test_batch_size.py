"""The work for one event grows with the number of its records, not with the square."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from conversations.ingest.apply import messages
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.models import Contact, Conversation, Message, Participant
from tests.conversations.ingest.apply.orders import apply_bodies, facts_of, new_instance
from tests.conversations.ingest.bodies import GROUP, PHONE, Body, envelope, text
from tests.conversations.ingest.receive import apply_facts

pytestmark = pytest.mark.django_db


def calls(count: int, **fields: Any) -> list[Body]:
    event = {"chatId": PHONE, "from": PHONE, "date": "2025-12-11T13:00:00.000Z", "status": "offer", **fields}
    return [{**event, "id": f"C{n}"} for n in range(count)]


def lines_run(call: Callable[[], object]) -> int:
    """Return how many lines of `conversations.ingest.apply.messages` a call runs, which is the same on any machine."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename == messages.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("is_moved", [False, True])
def test_calls_of_one_event_take_linear_work(*, is_moved: bool) -> None:
    def work(count: int) -> int:
        moved = calls(count, isGroup=True, groupJid=GROUP) if is_moved else []
        facts = facts_of(envelope("call", [*calls(count), *moved]))
        instance = new_instance()
        return lines_run(lambda: apply_facts(instance, facts))

    assert work(80) < 3 * work(40)


def test_contacts_that_one_event_merges_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    count, compared = 30, 0

    def equals(one: Contact, other: object) -> bool:
        nonlocal compared
        compared += 1
        return Model.__eq__(one, other)

    phones = [f"55119400{n:05}@s.whatsapp.net" for n in range(count)]
    lids = [f"1000000000{n:05}@lid" for n in range(count)]
    instance = new_instance()
    apply_bodies(instance, envelope("contacts.upsert", [{"remoteJid": jid} for jid in (*phones, *lids)]))
    pairs = [{"remoteJid": phone, "lid": lid} for phone, lid in zip(phones, lids, strict=True)]
    facts = facts_of(envelope("contacts.upsert", pairs))
    monkeypatch.setattr(Contact, "__eq__", equals)
    apply_facts(instance, facts)
    assert compared < 10 * count
    assert Contact.objects.filter(instance=instance).count() == count


def test_merges_of_one_event_take_as_many_queries_as_one_merge() -> None:
    def queries(count: int) -> int:
        phones = [f"551194000000{n}@c.us" for n in range(count)]
        lids = [f"1000{n}@lid" for n in range(count)]
        instance = new_instance()
        apply_bodies(instance, envelope("contacts.upsert", [{"remoteJid": jid} for jid in lids]))
        apply_bodies(instance, *(text(f"M{n}", phone) for n, phone in enumerate(phones)))
        pairs = [{"remoteJid": phone, "lid": lid} for phone, lid in zip(phones, lids, strict=True)]
        facts = facts_of(envelope("contacts.upsert", pairs))
        with CaptureQueriesContext(connection) as captured:
            apply_facts(instance, facts)
        assert Contact.objects.filter(instance=instance).count() == count
        assert set(Message.objects.filter(instance=instance).values_list("sender__jid", flat=True)) == {
            f"{phone.partition('@')[0]}@s.whatsapp.net" for phone in phones
        }
        return len(captured)

    assert queries(9) == queries(2)


def test_merges_of_conversations_and_memberships_take_as_many_queries_as_one_merge() -> None:
    def queries(count: int) -> int:
        phones = [f"5511940000{n:03}@s.whatsapp.net" for n in range(count)]
        lids = [f"1000{n:03}@lid" for n in range(count)]
        jids = [*phones, *lids]
        both = [text(key_id, jid, at=n) for n, key_id in enumerate(("M1", "M2")) for jid in jids]
        own = [text(f"O{n:03}", jid, at=2) for n, jid in enumerate(jids)]
        members = [{"id": jid, "admin": None} for jid in jids]
        instance = new_instance()
        apply_facts(instance, [fact for body in (*both, *own) for fact in facts_of(body)])
        apply_bodies(instance, envelope("groups.upsert", [{"id": GROUP, "participants": members}]))
        pairs = [{"remoteJid": phone, "lid": lid} for phone, lid in zip(phones, lids, strict=True)]
        facts = facts_of(envelope("contacts.upsert", pairs))
        with CaptureQueriesContext(connection) as captured:
            apply_facts(instance, facts)
        chats = Conversation.objects.filter(instance=instance, kind="direct")
        assert len(chats) == Participant.objects.filter(conversation__instance=instance).count() == count
        assert {(chat.messages.count(), chat.unread_count) for chat in chats} == {(4, 4)}
        assert all(chat.last_message == chat.messages.latest("timestamp", "key_id") for chat in chats)
        return len(captured)

    assert queries(20) == queries(2)


class _LookUpOnly(dict[str, Contact]):
    """Contacts that can be looked up, but not gone through."""

    def keys(self) -> Any:
        raise AssertionError

    __iter__ = keys


def test_the_addresses_of_a_contact_are_completed_without_going_through_all_contacts() -> None:
    contact = Contact(pk=1)
    index = ContactIndex(_LookUpOnly({"phone:1": contact}))
    index.complete({"phone:1", "lid:1"})
    assert (index.contacts["lid:1"], index.new_keys) == (contact, {"lid:1"})
