"""Who may change what: an event changes only what its author could have changed."""

from typing import Any

import pytest

from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.apply.test_convergence import permutations_agree, text
from tests.conversations.ingest.receive import receive
from tests.conversations.ingest.streams import ANA, GROUP, OWNER, PEOPLE, Body, envelope

pytestmark = pytest.mark.django_db

PHONE, LID = ANA
BOB = PEOPLE[1][0]


def edit(key_id: str, body: str, jid: str, **more: Any) -> Body:
    """messages.edited, written from the editor's side."""
    key = {"id": key_id, "remoteJid": jid, "fromMe": True, **more}
    return envelope(
        "messages.edited",
        {"key": key, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": body}, "timestampMs": 1765458090211},
    )


def signal(chat: str, target: str, kind: int, *, mine: bool = False, **key: Any) -> Body:
    """An edit (14) or a revocation (0) as a message of its own."""
    said = {"key": {"id": target}, "type": kind, "editedMessage": {"conversation": "mudado"}, "timestampMs": 5}
    outer = {"id": "SIGNAL", "remoteJid": chat, "fromMe": mine, **key}
    return envelope("messages.upsert", {"key": outer, "message": {"protocolMessage": said}, "messageTimestamp": 1})


def test_a_contacts_edit_never_changes_what_we_wrote() -> None:
    ours = text("M1", PHONE, "preço 100", mine=True)
    for forged in (edit("M1", "preço 1", OWNER), signal(PHONE, "M1", 14), signal(PHONE, "M1", 0)):
        (row,) = permutations_agree(ours, forged)["messages"]
        assert (row["text"], row["is_deleted"]) == ("preço 100", False)


def test_a_contact_edits_what_he_wrote_and_we_what_we_wrote() -> None:
    theirs = text("M1", PHONE, "oi")
    (row,) = permutations_agree(theirs, edit("M1", "olá", OWNER))["messages"]
    assert row["text"] == "olá"
    ours = text("M1", PHONE, "oi", mine=True)
    (row,) = permutations_agree(ours, edit("M1", "olá", PHONE))["messages"]
    assert row["text"] == "olá"
    (row,) = permutations_agree(ours, signal(PHONE, "M1", 14, mine=True))["messages"]
    assert row["text"] == "mudado"


def test_in_a_group_nobody_edits_anothers_message_and_an_admin_revokes_it() -> None:
    written = text("M1", GROUP, "oi", participant=PHONE)
    (row,) = permutations_agree(written, signal(GROUP, "M1", 14, participant=BOB))["messages"]
    assert row["text"] == "oi"
    (row,) = permutations_agree(written, signal(GROUP, "M1", 14, participant=PHONE))["messages"]
    assert row["text"] == "mudado"
    (row,) = permutations_agree(written, signal(GROUP, "M1", 0, participant=BOB))["messages"]
    assert row["is_deleted"]


def test_an_editor_under_his_other_address_is_recognised_whenever_it_becomes_known() -> None:
    (row,) = permutations_agree(
        text("M1", GROUP, "oi", participant=PHONE),
        signal(GROUP, "M1", 14, participant=LID),
        text("M2", LID, remoteJidAlt=PHONE),
    )["messages"][:1]
    assert (row["key_id"], row["text"]) == ("M1", "mudado")


def test_notes_to_ourselves_can_be_edited_and_deleted() -> None:
    note = text("N1", OWNER, "comprar pão", mine=True)
    (row,) = permutations_agree(note, edit("N1", "comprar leite", OWNER))["messages"]
    assert row["text"] == "comprar leite"
    gone = envelope("messages.delete", {"id": "N1", "remoteJid": OWNER, "fromMe": True})
    (row,) = permutations_agree(note, gone)["messages"]
    assert row["is_deleted"]


@pytest.mark.parametrize("content", [None, {}, {"messageContextInfo": {}}])
def test_an_edit_that_cannot_be_read_leaves_the_message_as_it_was(content: Any) -> None:
    unreadable = edit("M1", "", OWNER)
    unreadable["data"]["editedMessage"] = content
    (row,) = permutations_agree(text("M1", PHONE, "oi"), unreadable)["messages"]
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
    (row,) = permutations_agree(text("M1", PHONE, "oi"), update)["messages"]
    assert (row["text"], row["status"]) == ("olá", Message.Status.DELIVERED)


def vote(voter: str, at: int, *options: str) -> Body:
    """A vote as Evolution sends it: beside what was chosen stands this voter, and nobody else."""
    results = [{"name": name, "voters": [voter] if name in options else []} for name in ("9h", "14h")]
    body = {"pollCreationMessageKey": {"id": "POLL"}, "vote": {"encPayload": {}}, "senderTimestampMs": at}
    key = {"id": f"V{voter[:6]}{at}", "remoteJid": GROUP, "fromMe": False, "participant": voter}
    return envelope(
        "messages.upsert",
        {"key": key, "message": {"pollUpdateMessage": body}, "messageTimestamp": 1, "pollUpdates": results},
    )


def test_votes_of_several_people_add_up_and_each_ones_latest_counts() -> None:
    poll = text("POLL", GROUP, participant=PHONE)
    poll["data"]["message"] = {
        "pollCreationMessageV3": {"name": "Qual?", "options": [{"optionName": "9h"}, {"optionName": "14h"}]}
    }
    rows = permutations_agree(poll, vote(PHONE, 1000, "9h"), vote(BOB, 2000, "14h"), vote(PHONE, 3000, "14h"))
    (row,) = rows["messages"]
    shown = Message(details=row["details"], poll_results=row["poll_results"]).poll_count
    assert shown == [{"name": "9h", "voters": []}, {"name": "14h", "voters": sorted([PHONE, BOB])}]
    (row,) = permutations_agree(poll, vote(PHONE, 1000, "9h"), vote(PHONE, 2000))["messages"]
    assert [option["voters"] for option in Message(poll_results=row["poll_results"]).poll_count] == []


def test_a_bot_in_a_group_has_messages_and_no_contact() -> None:
    (row,) = permutations_agree(text("M1", GROUP, "olá", participant="867051314767696@bot"))["messages"]
    assert (row["text"], row["sender_id"]) == ("olá", None)


def test_lists_of_one_number_are_told_apart_by_their_server() -> None:
    first, second = text("M1", "7@bot", "um"), text("M1", "7@foo", "dois")
    gone = envelope("messages.delete", {"id": "M1", "remoteJid": "7@bot", "fromMe": False})
    rows = permutations_agree(first, second, gone)["messages"]
    assert {row["text"]: row["is_deleted"] for row in rows} == {"um": True, "dois": False}


def test_an_open_connection_shows_that_the_instance_exists() -> None:
    removed = envelope("remove.instance", None, "2025-12-11T10:00:00.000Z")
    opened = envelope("connection.update", {"state": "open"}, "2025-12-11T11:00:00.000Z")
    storm = envelope("connection.update", {"state": "connecting"}, "2025-12-11T10:30:00.000Z")
    assert permutations_agree(removed, storm)["instance"][0]["is_removed"]
    assert not permutations_agree(removed, storm, opened)["instance"][0]["is_removed"]


def test_a_body_cannot_name_another_instances_file() -> None:
    body = text("M1", PHONE)
    body["data"]["message"] = {"imageMessage": {"mimetype": "image/png"}, "base64": {"file": "1/ab/secret"}}
    instance = Instance.objects.create(name="files")
    receive(instance, body)
    assert Message.objects.get().media == {"mimetype": "image/png"}


@pytest.mark.parametrize("event", ["groups.upsert", "group-participants.update", "presence.update", "call"])
def test_values_of_a_wrong_kind_are_not_understood_and_never_a_fault(event: str) -> None:
    wrong: dict[str, Any] = {
        "groups.upsert": [{"id": GROUP, "participants": [{"id": PHONE, "admin": {}}]}],
        "group-participants.update": {"id": GROUP, "action": {}, "participants": [PHONE]},
        "presence.update": {"presences": {PHONE: {"lastKnownPresence": []}}},
        "call": {"chatId": PHONE, "from": PHONE, "id": "C", "status": "offer", "date": "0001-01-01T00:00:00+14:00"},
    }
    instance = Instance.objects.create(name="wrong")
    assert receive(instance, envelope(event, wrong[event])).outcome in ("applied", "unknown")


def test_an_empty_list_of_participants_makes_nobody_leave() -> None:
    def members(clock: str, *jids: str) -> Body:
        return envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": jid} for jid in jids]}], clock)

    rows = permutations_agree(members("2025-12-11T10:00:00.000Z", PHONE), members("2025-12-11T10:00:01.000Z"))
    assert rows["conversations"][0]["participants_as_of"] == "1:2025-12-11T10:00:00.000"


def test_the_last_message_of_one_second_is_the_same_in_every_collation() -> None:
    instance = Instance.objects.create(name="collation")
    for body in (text("wamid.a", PHONE, "de a"), text("wamid.B", PHONE, "de B"), text("x", PHONE, "antes", at=-9)):
        receive(instance, body)
    late = text("x", PHONE, "antes", at=-60)
    late["date_time"] = "2025-12-11T12:00:00.000Z"
    receive(instance, late)  # an earlier copy makes the totals be taken anew
    chat = Conversation.objects.recount(Conversation.objects.get().pk)
    assert chat.last_message_text == "de a"
