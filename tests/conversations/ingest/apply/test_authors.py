"""An edit, deletion or vote changes only messages that its author may change; malformed events change nothing."""

from typing import Any

import pytest

from conversations.evolution.media_names import media_name
from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.apply.orders import apply_in_every_order
from tests.conversations.ingest.bodies import GROUP, LID, OWNER, PEOPLE, PHONE, Body, envelope, text
from tests.conversations.ingest.receive import receive

pytestmark = pytest.mark.django_db

BOB = PEOPLE[1][0]


def edit(key_id: str, body: str, jid: str, **more: Any) -> Body:
    """Build a `messages.edited` event, whose message key has `fromMe` true because the editor's client wrote it."""
    key = {"id": key_id, "remoteJid": jid, "fromMe": True, **more}
    return envelope(
        "messages.edited",
        {"key": key, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": body}, "timestampMs": 1765458090211},
    )


def revocation(key_id: str, jid: str, **more: Any) -> Body:
    """Build a `messages.edited` event of a revocation."""
    body = edit(key_id, "", jid, **more)
    return body | {"data": {"key": body["data"]["key"], "type": "REVOKE"}}


def deletion(key_id: str, jid: str, *, from_me: bool, **key: Any) -> Body:
    """Build a `messages.delete` event, whose `fromMe` and `participant` are those of the person who deletes."""
    return envelope("messages.delete", {"id": key_id, "remoteJid": jid, "fromMe": from_me, **key})


def protocol_message(chat: str, target: str, kind: int, *, from_me: bool = False, **key: Any) -> Body:
    """Build a `messages.upsert` event that contains an edit (kind 14) or a revocation (kind 0) of a message."""
    edited = {"editedMessage": {"conversation": "mudado"}, "timestampMs": 5} if kind == 14 else {}
    content = {"key": {"id": target}, "type": kind, **edited}
    outer = {"id": "SIGNAL", "remoteJid": chat, "fromMe": from_me, **key}
    return envelope("messages.upsert", {"key": outer, "message": {"protocolMessage": content}, "messageTimestamp": 1})


def test_a_contacts_edit_or_revocation_never_changes_a_sent_message() -> None:
    sent = text("M1", PHONE, "preço 100", from_me=True)
    for forged in (edit("M1", "preço 1", OWNER), protocol_message(PHONE, "M1", 14), protocol_message(PHONE, "M1", 0)):
        (row,) = apply_in_every_order(sent, forged)["messages"]
        assert (row["text"], row["is_deleted"]) == ("preço 100", False)


def fates(*bodies: Body) -> dict[str, tuple[str, bool]]:
    """Return the text of each message by key id, and whether the message is deleted; in any order of the bodies."""
    return {row["key_id"]: (row["text"], row["is_deleted"]) for row in apply_in_every_order(*bodies)["messages"]}


@pytest.mark.parametrize("kind", ["REVOKE", 0])
@pytest.mark.parametrize("jid", [OWNER, LID, PHONE, GROUP])
def test_a_revocation_with_new_content_changes_nothing(jid: str, kind: object) -> None:
    both = edit("M1", "mudado", jid)
    both["data"]["type"] = kind
    sent, received = text("M1", PHONE, "preço 100", from_me=True), text("M1", GROUP, "oi", key={"participant": BOB})
    assert fates(sent, both) == {"M1": ("preço 100", False)}
    assert fates(received, both) == {"M1": ("oi", False)}


@pytest.mark.parametrize(
    "forged",
    [
        deletion("M1", PHONE, from_me=False),
        deletion("M1", LID, from_me=False, remoteJidAlt=PHONE),
        deletion("M1", "1772459000@broadcast", from_me=False, participant=PHONE),
        revocation("M1", OWNER),
        revocation("M1", PHONE, fromMe=False),
        revocation("M1", LID),
        revocation("M1", "1772459000@broadcast", participant=PHONE),
    ],
)
def test_the_other_side_of_a_direct_chat_deletes_only_its_own_messages(forged: Body) -> None:
    sent, received = text("M1", PHONE, "preço 100", from_me=True), text("M2", PHONE, "oi")
    genuine = deletion("M2", PHONE, from_me=False)
    assert fates(sent, received, forged, genuine) == {"M1": ("preço 100", False), "M2": ("oi", True)}


@pytest.mark.parametrize(
    "body",
    [
        deletion("M1", PHONE, from_me=True),
        revocation("M1", PHONE),
        deletion("M1", LID, from_me=True, remoteJidAlt=PHONE),
        protocol_message(PHONE, "M1", 0, from_me=True),
    ],
)
def test_a_message_is_deleted_from_the_own_phone(body: Body) -> None:
    assert fates(text("M1", PHONE, from_me=True), body) == {"M1": ("oi", True)}


@pytest.mark.parametrize("body", [revocation("M1", OWNER), deletion("M1", LID, from_me=False, remoteJidAlt=PHONE)])
def test_a_contact_deletes_their_own_message(body: Body) -> None:
    assert fates(text("M1", PHONE), body) == {"M1": ("oi", True)}


def test_an_admin_of_a_group_deletes_messages_of_everyone() -> None:
    sent, received = text("M1", GROUP, from_me=True), text("M2", GROUP, key={"participant": PHONE})
    by_admin = [deletion(name, GROUP, from_me=False, participant=BOB) for name in ("M1", "M2")]
    assert fates(sent, received, *by_admin) == {"M1": ("oi", True), "M2": ("oi", True)}
    by_admin = [revocation(name, GROUP, fromMe=False, participant=PHONE) for name in ("M1", "M2")]
    assert fates(sent, received, *by_admin) == {"M1": ("oi", True), "M2": ("oi", True)}


@pytest.mark.parametrize("jid", [OWNER, LID, PHONE, GROUP, ""])
def test_an_edit_of_a_message_that_is_not_the_editors_never_changes_a_sent_message(jid: str) -> None:
    forged = edit("M1", "mudado", jid, fromMe=False)
    assert fates(text("M1", PHONE, from_me=True), forged) == {"M1": ("oi", False)}
    assert fates(text("M1", GROUP, from_me=True), forged) == {"M1": ("oi", False)}
    assert fates(text("M1", OWNER, from_me=True), forged) == {"M1": ("oi", False)}
    forged["data"]["key"]["participant"] = OWNER
    assert fates(text("M1", GROUP, from_me=True), forged) == {"M1": ("oi", False)}


@pytest.mark.parametrize("jid", ["status@broadcast", "1772459000@broadcast"])
def test_the_key_of_a_broadcast_changes_nothing_in_an_edit_or_revocation(jid: str) -> None:
    received, sent = text("M1", PHONE), text("M2", PHONE, from_me=True)
    listed = text("M3", "1772459000@broadcast", from_me=True)
    keys = [{"key_id": name, "jid": jid, "participant": one} for name in ("M1", "M2", "M3") for one in (PHONE, OWNER)]
    forged = [body["data"] for key in keys for body in (edit(body="mudado", **key), revocation(**key))]
    unchanged = dict.fromkeys(("M1", "M2", "M3"), ("oi", False))
    assert fates(received, sent, listed, envelope("messages.edited", forged)) == unchanged


def test_an_edit_changes_a_message_of_the_same_author() -> None:
    received = text("M1", PHONE, "oi")
    (row,) = apply_in_every_order(received, edit("M1", "olá", OWNER))["messages"]
    assert row["text"] == "olá"
    sent = text("M1", PHONE, "oi", from_me=True)
    (row,) = apply_in_every_order(sent, edit("M1", "olá", PHONE))["messages"]
    assert row["text"] == "olá"
    (row,) = apply_in_every_order(sent, protocol_message(PHONE, "M1", 14, from_me=True))["messages"]
    assert row["text"] == "mudado"


def test_in_a_group_only_the_author_edits_a_message_and_others_may_revoke_it() -> None:
    written = text("M1", GROUP, "oi", key={"participant": PHONE})
    (row,) = apply_in_every_order(written, protocol_message(GROUP, "M1", 14, participant=BOB))["messages"]
    assert row["text"] == "oi"
    (row,) = apply_in_every_order(written, protocol_message(GROUP, "M1", 14, participant=PHONE))["messages"]
    assert row["text"] == "mudado"
    (row,) = apply_in_every_order(written, protocol_message(GROUP, "M1", 0, participant=BOB))["messages"]
    assert row["is_deleted"]


def test_an_edit_under_the_authors_other_address_applies_once_both_addresses_are_known() -> None:
    (row,) = apply_in_every_order(
        text("M1", GROUP, "oi", key={"participant": PHONE}),
        protocol_message(GROUP, "M1", 14, participant=LID),
        text("M2", LID, key={"remoteJidAlt": PHONE}),
    )["messages"][:1]
    assert (row["key_id"], row["text"]) == ("M1", "mudado")


def test_notes_to_oneself_can_be_edited_and_deleted() -> None:
    note = text("N1", OWNER, "comprar pão", from_me=True)
    (row,) = apply_in_every_order(note, edit("N1", "comprar leite", OWNER))["messages"]
    assert row["text"] == "comprar leite"
    deletion = envelope("messages.delete", {"id": "N1", "remoteJid": OWNER, "fromMe": True})
    (row,) = apply_in_every_order(note, deletion)["messages"]
    assert row["is_deleted"]


@pytest.mark.parametrize("content", [None, {}, {"messageContextInfo": {}}])
def test_an_edit_without_readable_content_changes_nothing(content: Any) -> None:
    unreadable = edit("M1", "", OWNER)
    unreadable["data"]["editedMessage"] = content
    (row,) = apply_in_every_order(text("M1", PHONE, "oi"), unreadable)["messages"]
    assert (row["text"], row["edited_at"]) == ("oi", None)


def test_an_edit_inside_messages_update_is_an_edit() -> None:
    update = envelope(
        "messages.update",
        {
            "keyId": "M1",
            "remoteJid": PHONE,
            "fromMe": False,
            "status": "SERVER_ACK",
            "message": {"editedMessage": {"message": {"conversation": "olá"}}},
        },
    )
    (row,) = apply_in_every_order(text("M1", PHONE, "oi"), update)["messages"]
    assert (row["text"], row["status"]) == ("olá", Message.Status.DELIVERED)


@pytest.mark.parametrize(("key", "text_after"), [
    ({"participant": BOB}, "oi"),
    ({"participant": "999000111222333@lid"}, "oi"),
    ({"participant": PHONE}, "olá"),
    ({"participant": LID, "participantAlt": PHONE}, "olá"),
    ({}, "olá"),
])  # fmt: skip
def test_in_a_group_an_edit_inside_messages_update_changes_messages_of_its_participant(
    key: dict[str, str], text_after: str
) -> None:
    """Baileys takes the id from the editor's content and all else from the delivery, and compares nothing."""
    new = {"editedMessage": {"message": {"conversation": "olá"}}}
    update = envelope("messages.update", {"keyId": "M1", "remoteJid": GROUP, "fromMe": False, "message": new, **key})
    assert fates(text("M1", GROUP, "oi", key={"participant": PHONE}), update) == {"M1": (text_after, False)}
    assert fates(text("M1", GROUP, "oi", from_me=True), update) == {"M1": ("oi", False)}


def vote(voter: str, at: int, *options: str) -> Body:
    """Build an event with a poll vote, as Evolution API sends it: the poll results contain only this voter."""
    results = [{"name": name, "voters": [voter] if name in options else []} for name in ("9h", "14h")]
    body = {"pollCreationMessageKey": {"id": "POLL"}, "vote": {"encPayload": {}}, "senderTimestampMs": at}
    key = {"id": f"V{voter[:6]}{at}", "remoteJid": GROUP, "fromMe": False, "participant": voter}
    return envelope(
        "messages.upsert",
        {"key": key, "message": {"pollUpdateMessage": body}, "messageTimestamp": 1, "pollUpdates": results},
    )


def test_the_latest_vote_of_each_person_counts() -> None:
    poll = text("POLL", GROUP, key={"participant": PHONE})
    poll["data"]["message"] = {
        "pollCreationMessageV3": {"name": "Qual?", "options": [{"optionName": "9h"}, {"optionName": "14h"}]}
    }
    rows = apply_in_every_order(poll, vote(PHONE, 1000, "9h"), vote(BOB, 2000, "14h"), vote(PHONE, 3000, "14h"))
    (row,) = rows["messages"]
    count = Message(details=row["details"], poll_results=row["poll_results"]).poll_count
    assert count == [
        {"name": "9h", "voters": [], "voter_count": 0},
        {"name": "14h", "voters": sorted([PHONE, BOB]), "voter_count": 2},
    ]
    (row,) = apply_in_every_order(poll, vote(PHONE, 1000, "9h"), vote(PHONE, 2000))["messages"]
    assert [option["voters"] for option in Message(poll_results=row["poll_results"]).poll_count] == []


def test_a_bot_in_a_group_has_messages_and_no_contact() -> None:
    (row,) = apply_in_every_order(text("M1", GROUP, "olá", key={"participant": "867051314767696@bot"}))["messages"]
    assert (row["text"], row["sender_id"]) == ("olá", None)


def test_chats_with_one_number_on_different_servers_are_different() -> None:
    first, second = text("M1", "7@bot", "um"), text("M1", "7@foo", "dois")
    deletion = envelope("messages.delete", {"id": "M1", "remoteJid": "7@bot", "fromMe": False})
    rows = apply_in_every_order(first, second, deletion)["messages"]
    assert {row["text"]: row["is_deleted"] for row in rows} == {"um": True, "dois": False}


def test_an_open_connection_shows_that_the_instance_exists() -> None:
    removed = envelope("remove.instance", None, "2025-12-11T10:00:00.000Z")
    opened = envelope("connection.update", {"state": "open"}, "2025-12-11T11:00:00.000Z")
    connecting = envelope("connection.update", {"state": "connecting"}, "2025-12-11T10:30:00.000Z")
    assert apply_in_every_order(removed, connecting)["instance"][0]["is_removed"]
    assert not apply_in_every_order(removed, connecting, opened)["instance"][0]["is_removed"]


@pytest.mark.parametrize("wrapper", ["", "ephemeralMessage", "viewOnceMessageV2"])
def test_a_body_cannot_refer_to_a_stored_file(wrapper: str) -> None:
    instance = Instance.objects.create(name="files")
    body = text("M1", PHONE)
    forged = {"imageMessage": {"mimetype": "image/png"}, "base64": {"file": media_name(instance.pk, "ab" * 32)}}
    body["data"]["message"] = {wrapper: {"message": forged}} if wrapper else forged
    receive(instance, body)
    assert "file" not in Message.objects.get().media


@pytest.mark.parametrize("event", ["groups.upsert", "group-participants.update", "presence.update", "call"])
def test_values_of_a_wrong_type_never_raise_an_error(event: str) -> None:
    malformed: dict[str, Any] = {
        "groups.upsert": [{"id": GROUP, "participants": [{"id": PHONE, "admin": {}}]}],
        "group-participants.update": {"id": GROUP, "action": {}, "participants": [PHONE]},
        "presence.update": {"presences": {PHONE: {"lastKnownPresence": []}}},
        "call": {"chatId": PHONE, "from": PHONE, "id": "C", "status": "offer", "date": "0001-01-01T00:00:00+14:00"},
    }
    instance = Instance.objects.create(name="malformed")
    assert receive(instance, envelope(event, malformed[event])).outcome in ("applied", "unknown")


def test_an_empty_list_of_participants_removes_no_participant() -> None:
    def members(clock: str, *jids: str) -> Body:
        return envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": jid} for jid in jids]}], clock)

    rows = apply_in_every_order(members("2025-12-11T10:00:00.000Z", PHONE), members("2025-12-11T10:00:01.000Z"))
    assert rows["conversations"][0]["participants_as_of"] == "2:2025-12-11T10:00:00.000"


def test_the_last_message_among_equal_timestamps_does_not_depend_on_the_databases_collation() -> None:
    instance = Instance.objects.create(name="collation")
    for body in (text("wamid.a", PHONE, "de a"), text("wamid.B", PHONE, "de B"), text("x", PHONE, "antes", at=-9)):
        receive(instance, body)
    late = text("x", PHONE, "antes", at=-60)
    late["date_time"] = "2025-12-11T12:00:00.000Z"
    receive(instance, late)  # message "x" gets an earlier timestamp, so the conversation summary is recomputed
    chat = Conversation.objects.recount(Conversation.objects.get().pk)
    assert chat.last_message_text == "de a"
