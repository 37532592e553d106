"""Parsing of statuses, edits and deletions: which messages each update can match."""

from dataclasses import replace
from typing import Any

import pytest

from conversations.evolution import updates
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.events import Parser
from conversations.evolution.facts import Fact, MessageUpdate
from conversations.evolution.status import DELIVERED
from conversations.evolution.updates import EITHER, INBOUND, OUTBOUND
from conversations.evolution.votes import MAX_VOTERS
from tests.conversations.evolution.envelopes import CLOCK_MS, GROUP, LID, OWNER, PHONE, address, envelope

CHAT, GROUP_CHAT, OWN_CHAT = address(PHONE).key, address(GROUP).key, address(OWNER).key


def facts(parser: Parser, raw: object) -> list[Fact]:
    return list(parser(raw, envelope("messages.update")))


def protocol_message(jid: str = PHONE, *, kind: str = "MESSAGE_EDIT", **key: Any) -> dict[str, Any]:
    return {
        "key": {"remoteJid": jid, "fromMe": True, "id": "A1", **key},
        "type": kind,
        "editedMessage": {"conversation": "novo"},
        "timestampMs": "1765458005000",
    }


def revocation(jid: str) -> dict[str, Any]:
    body = protocol_message(jid, kind="REVOKE")
    return {"key": body["key"], "type": body["type"]}


def edit(chat: str, from_me: int, *, at: int = 1765458005000, author: str = "") -> MessageUpdate:
    return MessageUpdate("A1", "edit", at, {"text": "novo"}, chat, from_me, author)


def estimated(chat: str, from_me: int) -> MessageUpdate:
    """Return an edit whose time is estimated from the clock of the Evolution host."""
    return replace(edit(chat, from_me, at=CLOCK_MS), value={"text": "novo", "is_estimated": True})


@pytest.mark.parametrize(
    ("jid", "chat"),
    [(PHONE, CHAT), (GROUP, GROUP_CHAT), (LID, ""), (OWNER, ""), ("5521987654321", ""), (None, "")],
)
def test_only_a_group_and_a_contact_s_phone_number_are_reliable(jid: str | None, chat: str) -> None:
    raw = {"keyId": "A1", "remoteJid": jid, "status": 3}
    assert facts(updates.parse_update, raw) == [MessageUpdate("A1", "status", DELIVERED, {}, chat, EITHER)]


def test_a_status_matches_messages_of_its_chat_and_direction() -> None:
    raw = {"keyId": "A1", "remoteJid": PHONE, "fromMe": True, "status": "DELIVERY_ACK"}
    assert facts(updates.parse_update, raw) == [MessageUpdate("A1", "status", DELIVERED, {}, CHAT, OUTBOUND)]
    inbound = {"key": {"id": "A1", "remoteJid": GROUP, "fromMe": False}, "status": 3}
    assert facts(updates.parse_update, inbound) == [MessageUpdate("A1", "status", DELIVERED, {}, GROUP_CHAT, INBOUND)]


def test_a_status_of_the_cloud_api_matches_both_directions_in_every_chat() -> None:
    raw = {"keyId": "wamid.1", "remoteJid": PHONE, "fromMe": False, "status": "DELIVERED"}
    assert facts(updates.parse_update, raw) == [MessageUpdate("wamid.1", "status", DELIVERED, {}, "", EITHER)]


def test_an_update_may_carry_an_edit() -> None:
    update = {"keyId": "A1", "remoteJid": PHONE, "fromMe": False}
    plain = {"editedMessage": {"message": {"conversation": "novo"}}}
    assert facts(updates.parse_update, update | {"message": plain}) == [estimated(CHAT, INBOUND)]
    wrapped = {"editedMessage": {"message": {"protocolMessage": protocol_message()}}}
    assert facts(updates.parse_update, update | {"message": wrapped}) == [edit(CHAT, INBOUND)]


def test_an_update_with_too_many_voters_keeps_its_edit() -> None:
    voters = [f"{number}@lid" for number in range(MAX_VOTERS + 1)]
    edited = {"editedMessage": {"message": {"conversation": "novo"}}}
    update = {"keyId": "A1", "remoteJid": PHONE, "message": edited, "pollUpdates": [{"name": "sim", "voters": voters}]}
    found: list[Fact] = []
    with pytest.raises(UnknownShapeError):
        found.extend(updates.parse_update(update, envelope("messages.update")))
    assert estimated(CHAT, EITHER) in found


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # The chat is the instance's own number: a contact edited a message, or the instance edited a note to itself.
        (protocol_message(OWNER), [edit("", INBOUND), edit(OWN_CHAT, OUTBOUND)]),
        (protocol_message(PHONE), [edit(CHAT, OUTBOUND)]),
        (protocol_message(LID), [edit("", EITHER)]),
        (protocol_message(GROUP, participant=PHONE), [edit(GROUP_CHAT, EITHER, author=CHAT)]),
        (protocol_message(""), [edit("", EITHER)]),
    ],
)
def test_an_edit_matches_messages_of_its_author_only(raw: dict[str, Any], expected: list[MessageUpdate]) -> None:
    assert facts(updates.parse_edit, raw) == expected


def test_an_edit_through_the_api_matches_outbound_messages() -> None:
    assert facts(updates.parse_sent_edit, protocol_message()) == [edit(CHAT, OUTBOUND)]


@pytest.mark.parametrize("stated", [None, 0, "soon", "5"])
def test_an_edit_without_a_possible_time_has_the_estimated_time_of_its_event(stated: object) -> None:
    (found,) = facts(updates.parse_sent_edit, protocol_message() | {"timestampMs": stated})
    assert found == estimated(CHAT, OUTBOUND)


def test_an_edit_without_content_is_ignored() -> None:
    assert facts(updates.parse_sent_edit, protocol_message() | {"editedMessage": None}) == []


def test_a_revocation_in_a_group_matches_messages_of_every_member() -> None:
    assert facts(updates.parse_sent_edit, revocation(PHONE)) == [MessageUpdate("A1", "delete", 0, {}, CHAT, OUTBOUND)]
    raw = revocation(GROUP)
    assert facts(updates.parse_sent_edit, raw) == [MessageUpdate("A1", "delete", 0, {}, GROUP_CHAT, EITHER)]


@pytest.mark.parametrize("jid", [LID, OWNER])
def test_a_revocation_under_a_lid_is_read_as_one_under_an_own_address(jid: str) -> None:
    theirs, ours = facts(updates.parse_edit, revocation(jid))
    assert theirs == MessageUpdate("A1", "delete", 0, {}, "", INBOUND)
    assert ours == MessageUpdate("A1", "delete", 0, {}, address(jid).key, OUTBOUND)


def test_a_revocation_with_new_content_is_ignored() -> None:
    assert facts(updates.parse_edit, protocol_message(kind="REVOKE")) == []
    assert facts(updates.parse_edit, protocol_message(GROUP, kind="0")) == []


@pytest.mark.parametrize(
    ("jid", "expected"),
    [
        (OWNER, [edit("", INBOUND)]),
        (PHONE, [edit(CHAT, INBOUND)]),
        (LID, [edit("", INBOUND)]),
        (GROUP, [edit(GROUP_CHAT, INBOUND)]),
        ("", [edit("", INBOUND)]),
        ("status@broadcast", []),
        ("1772459000@broadcast", []),
    ],
)
def test_an_edit_whose_key_is_not_the_editors_matches_no_outbound_message(
    jid: str, expected: list[MessageUpdate]
) -> None:
    assert facts(updates.parse_edit, protocol_message(jid, fromMe=False)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        {"id": "A1", "remoteJid": PHONE, "fromMe": True, "participant": PHONE},
        {"key": {"id": "A1", "remoteJid": LID, "remoteJidAlt": PHONE}},
        {"key": {"id": "A1", "remoteJid": OWNER, "senderPn": PHONE}},
    ],
)
def test_a_deletion_matches_both_directions_of_its_chat(raw: dict[str, Any]) -> None:
    found = [fact for fact in facts(updates.parse_deletion, raw) if isinstance(fact, MessageUpdate)]
    assert found == [MessageUpdate("A1", "delete", 0, {}, CHAT, EITHER)]


@pytest.mark.parametrize(
    ("jid", "from_me"),
    [(PHONE, INBOUND), (GROUP, EITHER), ("1@newsletter", EITHER), ("status@broadcast", INBOUND)],
)
def test_the_other_person_deletes_messages_of_others_only_where_there_are_admins(jid: str, from_me: int) -> None:
    raw = {"id": "A1", "remoteJid": jid, "fromMe": False}
    assert facts(updates.parse_deletion, raw) == [MessageUpdate("A1", "delete", 0, {}, address(jid).key, from_me)]


@pytest.mark.parametrize("parser", [updates.parse_update, updates.parse_deletion])
def test_an_update_without_a_key_id_is_an_unknown_shape(parser: Parser) -> None:
    with pytest.raises(UnknownShapeError):
        facts(parser, {"remoteJid": PHONE, "status": "READ"})


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ({"conversation": "novo"}, [("edit", {"text": "novo"})]),
        ({"wrapperOfTomorrow": {"message": {"conversation": "novo"}}}, [("edit", {"text": "novo"})]),
        ({"imageMessage": {"mimetype": "image/png"}}, []),
        ({"imageMessage": {"caption": ""}}, [("edit", {"text": ""})]),
        ({"conversation": ""}, []),
        ({"protocolMessage": {"type": 25}}, []),
        ({"messageOfTomorrow": {}}, [("details", {"content": "messageOfTomorrow"})]),
        (
            {"messageOfTomorrow": {"title": "novo"}},
            [
                ("edit", {"text": "novo"}),
                ("details", {"content": "messageOfTomorrow", "fields": {"title": "novo"}}),
            ],
        ),
        (
            {"eventMessage": {"name": "Festa", "isCanceled": True}},
            [("edit", {"text": "Festa"}), ("details", {"is_canceled": True})],
        ),
        ({}, []),
        (None, []),
    ],
)
def test_an_edit_keeps_what_it_can_and_never_blanks_a_text(edited: Any, expected: list[Any]) -> None:
    raw = {**protocol_message(), "editedMessage": edited}
    found = facts(updates.parse_edit, raw)
    assert [(fact.kind, fact.value) for fact in found if isinstance(fact, MessageUpdate)] == expected


@pytest.mark.parametrize(("edit_type", "count"), [(1, 1), ("CANCEL", 1), (0, 0), (None, 0)])
def test_a_scheduled_call_can_be_canceled(edit_type: object, count: int) -> None:
    context = updates.UpdateContext(CHAT, INBOUND, fallback_ms=5)
    body = {"key": {"id": "A1"}, "editType": edit_type}
    canceled = MessageUpdate("A1", "details", 5, {"is_canceled": True}, CHAT, INBOUND)
    assert list(updates.parse_call_edit(body, context)) == [canceled] * count


def test_the_estimated_time_of_edited_details_is_marked() -> None:
    raw = {**protocol_message(), "editedMessage": {"eventMessage": {"isCanceled": True}}, "timestampMs": None}
    (fact,) = facts(updates.parse_edit, raw)
    assert isinstance(fact, MessageUpdate)
    assert fact.value == {"is_canceled": True, "is_estimated": True}
