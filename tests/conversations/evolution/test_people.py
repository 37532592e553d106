"""Parsing of events about contacts, chats, groups and presence."""

from typing import Any

import pytest

from conversations.evolution import events, people
from conversations.evolution.coerce import UnknownShapeError, from_ms
from conversations.evolution.envelope import Envelope
from conversations.evolution.events import Parser
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Fact,
    Member,
    Membership,
    OwnIdentity,
    SamePerson,
)
from tests.conversations.evolution.envelopes import CLOCK, CLOCK_MS, GROUP, LID, LIVE, OWNER, PHONE, address, envelope

CONTACT, CHAT = address(PHONE), address(GROUP)
PAIR = SamePerson(CONTACT, address(LID), CLOCK_MS)


def facts(parser: Parser, raw: object) -> list[Fact]:
    return list(parser(raw, envelope()))


def test_a_contact_has_a_name_and_a_picture() -> None:
    raw = {"remoteJid": PHONE, "pushName": "Mariana", "profilePicUrl": "https://x/y.jpg"}
    values = {"push_name": "Mariana", "picture_url": "https://x/y.jpg"}
    assert facts(people.parse_contact, raw) == [ContactState(CONTACT, values, LIVE)]


def test_an_array_has_the_names_of_the_address_book() -> None:
    in_array = Envelope("contacts.upsert", "sales", [], CLOCK, address(OWNER))
    state = ContactState(CONTACT, {"saved_name": "Tia Lu"}, LIVE)
    assert list(people.parse_contact({"remoteJid": PHONE, "pushName": "Tia Lu"}, in_array)) == [state]


def test_a_name_in_an_event_without_sender_has_the_least_clock() -> None:
    without_sender = Envelope("contacts.upsert", "sales", {}, CLOCK, None, has_sender=False)
    name, others = people.parse_contact({"remoteJid": PHONE, "pushName": "Loja"}, without_sender)
    assert name == ContactState(CONTACT, {"push_name": "Loja"}, f"00:{CLOCK}")
    assert others == ContactState(CONTACT, {}, LIVE)


def test_a_pair_with_the_instances_number_is_the_instance() -> None:
    raw = {"id": GROUP, "participants": [{"id": LID, "phoneNumber": OWNER}]}
    assert OwnIdentity(lid=address(LID)) in facts(people.parse_group, raw)


def test_a_missing_value_does_not_clear_a_contact_s_field() -> None:
    assert facts(people.parse_contact, {"id": PHONE, "pushName": ""}) == [ContactState(CONTACT, {}, LIVE)]


@pytest.mark.parametrize("raw", [{"remoteJid": GROUP, "pushName": "Mariana"}, {"pushName": "Mariana"}])
def test_an_item_that_is_not_a_person_s_is_skipped(raw: dict[str, Any]) -> None:
    assert facts(people.parse_contact, raw) == []


def test_a_listed_chat_exists_and_may_have_a_name() -> None:
    exists = ConversationState(CONTACT, {}, LIVE)
    assert facts(people.parse_listed_chat, {"remoteJid": PHONE}) == [exists]
    named = [exists, ContactState(CONTACT, {"push_name": "Mariana"}, LIVE), exists]
    assert facts(people.parse_listed_chat, {"remoteJid": PHONE, "name": "Mariana"}) == named


def test_a_chat_update_without_a_name_creates_no_conversation() -> None:
    assert facts(people.parse_chat_update, {"remoteJid": LID, "unreadMessages": 0}) == []
    named = [ConversationState(CHAT, {"name": "Equipe"}, LIVE)]
    assert facts(people.parse_chat_update, {"remoteJid": GROUP, "name": "Equipe"}) == named


@pytest.mark.parametrize("raw", [PHONE, {"remoteJid": PHONE}, {"id": PHONE}])
def test_a_deleted_chat_is_a_jid_or_an_object_with_one(raw: object) -> None:
    assert facts(people.parse_chat_deletion, raw) == [ConversationState(CONTACT, {"is_deleted": True}, LIVE)]


@pytest.mark.parametrize("raw", ["nobody", {}, {"id": "5521987654321"}])
def test_a_deleted_chat_without_a_jid_is_an_unknown_shape(raw: object) -> None:
    with pytest.raises(UnknownShapeError):
        facts(people.parse_chat_deletion, raw)


def test_a_group_has_all_its_participants_and_pairs_of_addresses() -> None:
    participants = [{"id": LID, "phoneNumber": PHONE, "admin": "admin"}]
    raw = {"id": GROUP, "subject": "Equipe", "owner": LID, "ownerPn": PHONE, "participants": participants}
    assert facts(people.parse_group, raw) == [
        ConversationState(CHAT, {"name": "Equipe"}, LIVE),
        PAIR,
        PAIR,
        Membership(CHAT, (Member(address(LID), "admin", is_present=True),), LIVE, complete=True),
    ]


@pytest.mark.parametrize(
    ("action", "role", "is_present"),
    [("add", "member", True), ("promote", "admin", True), ("demote", "member", True), ("remove", "member", False)],
)
def test_an_action_changes_some_participants(action: str, role: str, is_present: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    raw = {"id": GROUP, "action": action, "participants": [PHONE]}
    member = Member(CONTACT, role, is_present)
    assert facts(people.parse_participants_update, raw) == [Membership(CHAT, (member,), LIVE, complete=False)]


def test_the_action_modify_only_pairs_addresses() -> None:
    raw = {"id": GROUP, "action": "modify", "participants": [{"id": LID, "phoneNumber": PHONE}]}
    assert facts(people.parse_participants_update, raw) == [PAIR]


def test_an_unknown_action_is_an_unknown_shape() -> None:
    with pytest.raises(UnknownShapeError):
        facts(people.parse_participants_update, {"id": GROUP, "action": "ban", "participants": [PHONE]})


JIDS = [f"{number}@lid" for number in range(people.MAX_MEMBERS + 1)]


@pytest.mark.parametrize(
    ("event", "limit", "named"),
    [
        ("groups.upsert", people.MAX_MEMBERS, lambda jids: {"participants": jids}),
        ("group.participants.update", people.MAX_CHANGED, lambda jids: {"action": "add", "participants": jids}),
        ("presence.update", people.MAX_PRESENCES, lambda jids: {"presences": {jid: {} for jid in jids}}),
    ],
)
def test_persons_beyond_a_limit_are_left_out_and_the_event_says_so(event: str, limit: int, named: Any) -> None:
    """Addresses of a few characters made a body of 1 MB take half a minute, in which nothing else could be written."""

    def parse(count: int) -> tuple[int, int]:
        data = {"id": GROUP, **named(JIDS[:count])}
        result = events.parse(Envelope(event, "sales", data, CLOCK, address(OWNER)))
        states = [fact for fact in result.facts if isinstance(fact, ContactState)]
        members = [member for fact in result.facts if isinstance(fact, Membership) for member in fact.members]
        return len(states) + len(members), len(result.problems)

    assert parse(limit) == (limit, 0)
    assert parse(limit + 1) == (limit, 1)


def test_pairs_beyond_a_limit_are_left_out_too() -> None:
    described = [{"id": jid, "phoneNumber": PHONE} for jid in JIDS[: people.MAX_CHANGED + 1]]
    raw = {"id": GROUP, "action": "modify", "participantsData": described}
    found: list[Fact] = []
    with pytest.raises(UnknownShapeError):
        found += people.parse_participants_update(raw, envelope())
    assert len(found) == people.MAX_CHANGED


def test_presence_is_a_value_of_each_person() -> None:
    presences = {
        PHONE: {"lastKnownPresence": "composing", "lastSeen": 1765458000},
        LID: {"lastKnownPresence": "sleeping"},
        GROUP: {"lastKnownPresence": "composing"},
    }
    values = {"presence": "composing", "last_seen_at": from_ms(1765458000000)}
    assert facts(people.parse_presence, {"id": GROUP, "presences": presences}) == [
        ContactState(CONTACT, values, LIVE),
        ContactState(address(LID), {}, LIVE),
    ]
