"""One person has one chat, one reaction and one vote; strangers stay apart, and nothing of ours unites anybody."""

from collections.abc import Iterable
from typing import Any

import pytest

from conversations.evolution import jid
from conversations.evolution.facts import OwnIdentity
from conversations.ingest.apply import phone_holders
from conversations.ingest.apply.address_batch import AddressBatch
from conversations.ingest.apply.own_identity import MAX_LIDS, MAX_NAMES
from conversations.models import ContactAddress
from tests.conversations.ingest.apply.orders import (
    apply_at_once,
    apply_bodies,
    apply_both_ways,
    apply_in_every_order,
    apply_one_by_one,
    new_instance,
)
from tests.conversations.ingest.bodies import GROUP, LID, OWNER, PEOPLE, PHONE, SECOND, Body, envelope, text
from tests.conversations.ingest.receive import apply_facts
from tests.conversations.ingest.row_snapshots import Rows, rows_of

pytestmark = pytest.mark.django_db

BOB, BOB_LID = PEOPLE[1]
OWN_LID = "99001122334455@lid"
DAY = 86_400  # seconds
LIST = "1772459000@broadcast"
OWN_PHONES = [OWNER, OWNER.replace("@", ":7@")]
OWN_LIDS = [OWN_LID, OWN_LID.replace("@", ":12@")]


def chats(rows: Rows) -> dict[str, list[str]]:
    """Return the key ids of the messages of each chat."""
    found: dict[str, list[str]] = {row["jid"]: [] for row in rows["conversations"]}
    for row in rows["messages"]:
        found[row["conversation_id"]].append(row["key_id"])
    return {jid: sorted(key_ids) for jid, key_ids in found.items()}


def names(rows: Rows) -> dict[str, str]:
    return {row["jid"]: row["name"] for row in rows["contacts"]}


def sent_in_group(key_id: str = "OWN", **key: Any) -> Body:
    """Build an outbound message in a group; its key names the instance as the participant."""
    return text(key_id, GROUP, "nossa", from_me=True, key=key)


def reaction(key_id: str, emoji: str, at: int, jid: str = GROUP, *, from_me: bool = False, **key: Any) -> Body:
    content = {"reactionMessage": {"key": {"id": "M1"}, "text": emoji, "senderTimestampMs": (SECOND + at) * 1000}}
    return text(key_id, jid, from_me=from_me, at=at, key=key, message=content)


def vote(key_id: str, option: str, at: int, *, from_me: bool = False, **key: Any) -> Body:
    content = {
        "pollUpdateMessage": {
            "pollCreationMessageKey": {"id": "M1"},
            "vote": {"selectedOptions": [option]},
            "senderTimestampMs": (SECOND + at) * 1000,
        }
    }
    return text(key_id, GROUP, from_me=from_me, at=at, key=key, message=content)


def contact(jid: str, name: str, clock: str = "2025-12-11T10:00:00.000Z", **fields: Any) -> Body:
    """Build an event with a contact as an object, which Evolution sends after a message."""
    return envelope("contacts.update", {"remoteJid": jid, "pushName": name, **fields}, clock)


def saved(jid: str, name: str, clock: str = "2025-12-11T10:00:00.000Z", **fields: Any) -> Body:
    """Build an event with a contact in an array, as Evolution sends the phone's address book."""
    return envelope("contacts.upsert", [{"remoteJid": jid, "pushName": name, **fields}], clock)


# --- where a message belongs ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", [{"participant": PHONE}, {"participant": LID, "participantAlt": PHONE}])
def test_a_broadcast_lists_message_is_in_the_senders_chat_and_counts_as_unread(key: Body) -> None:
    rows = apply_in_every_order(
        text("D1", PHONE),
        text("BL1", LIST, "promoção", at=1, key=key),
        envelope("messages.delete", {"id": "BL1", "remoteJid": LIST, "fromMe": False, **key}),
        text("OUT", "1772459999@broadcast", from_me=True, at=2),
    )
    assert chats(rows) == {PHONE: ["BL1", "D1"], "1772459999@broadcast": ["OUT"]}
    assert {row["jid"]: row["unread_count"] for row in rows["conversations"]}[PHONE] == 2
    assert [row["key_id"] for row in rows["messages"] if row["is_deleted"]] == ["BL1"]


def test_an_edit_and_a_receipt_of_a_broadcast_lists_message_reach_the_senders_chat() -> None:
    update = {"keyId": "BL1", "remoteJid": LIST, "participant": PHONE, "fromMe": False}
    rows = apply_in_every_order(
        text("BL1", LIST, key={"participant": PHONE}),
        envelope("messages.update", {**update, "message": {"editedMessage": {"message": {"conversation": "novo"}}}}),
        envelope("messages.update", {**update, "status": "READ"}),
    )
    assert chats(rows) == {PHONE: ["BL1"]}
    assert [(row["text"], row["status"]) for row in rows["messages"]] == [("novo", 4)]


def test_a_status_update_and_an_own_broadcast_stay_where_they_were() -> None:
    status = text("S1", "status@broadcast", key={"participant": PHONE})
    own = text("B1", LIST, from_me=True, key={"participant": PHONE})
    assert chats(apply_in_every_order(status, own)) == {"status@broadcast": ["S1"], LIST: ["B1"]}


# --- calls ------------------------------------------------------------------------------------------------------------
def call(stage: str, at: int, jid: str = PHONE, **fields: Any) -> Body:
    event = {"chatId": jid, "from": jid, "id": "C1", "date": f"2025-12-11T13:00:0{at}.000Z", "status": stage}
    return envelope("call", {**event, **fields})


@pytest.mark.parametrize("jid", [PHONE, LID])
def test_a_group_call_is_one_call_in_the_group_in_its_last_stage(jid: str) -> None:
    rows = apply_in_every_order(
        call("offer", 0, jid, isGroup=True, groupJid=GROUP),
        call("ringing", 1, jid, isGroup=True, groupJid=GROUP),
        call("terminate", 2, jid, isGroup=True),
    )
    (row,) = rows["messages"]
    assert (row["conversation_id"], row["details"]["stage"], row["sender_id"]) == (GROUP, "terminate", jid)
    assert chats(rows) == {GROUP: ["C1"]}
    assert rows["conversations"][0]["unread_count"] == 0


def test_a_call_of_which_one_event_names_no_caller_has_its_caller_in_every_order() -> None:
    named = call("offer", 0, isGroup=True, groupJid=GROUP)
    (row,) = apply_in_every_order(call("offer", 0, GROUP, isGroup=True), named)["messages"]
    assert (row["conversation_id"], row["sender_id"]) == (GROUP, PHONE)


def test_a_stage_that_does_not_say_that_the_call_is_a_groups_joins_the_groups_call() -> None:
    rows = apply_in_every_order(
        text("M0", PHONE), call("offer", 0, groupJid=GROUP, isGroup=True), call("terminate", 2), call("ringing", 1)
    )
    assert chats(rows) == {GROUP: ["C1"], PHONE: ["M0"]}
    assert {row["jid"]: row["last_message_kind"] for row in rows["conversations"]} == {GROUP: "call", PHONE: "text"}


@pytest.mark.parametrize(
    "fields", [{"chatId": LID, "from": LID, "callerPn": PHONE}, {"chatId": LID, "from": PHONE}, {"callerPn": PHONE}]
)
def test_a_call_under_a_lid_is_in_the_chat_of_the_callers_phone_number(fields: Body) -> None:
    rows = apply_in_every_order(text("M0", PHONE), call("offer", 0, **{"chatId": LID, "from": LID, **fields}))
    assert chats(rows) == {PHONE: ["C1", "M0"]}


def test_a_later_stage_never_changes_an_ordinary_message_with_the_calls_id() -> None:
    rows = apply_in_every_order(text("C1", BOB, "oi"), call("terminate", 2, isGroup=True))
    assert [(row["key_id"], row["kind"], row["details"]) for row in rows["messages"]] == [("C1", "text", {})]


def test_a_message_with_a_calls_id_hides_the_call_in_every_order() -> None:
    unread = text("C1", message={}, messageType="unknown")
    rows = apply_in_every_order(call("offer", 0, isVideo=True), unread, call("accept", 1), call("reject", 2))
    assert [(row["kind"], row["details"]) for row in rows["messages"]] == [("unknown", {})]


def test_a_record_of_a_call_with_the_calls_id_hides_the_call_in_every_order() -> None:
    unread = text("C1", message={}, messageType="unknown")
    record = text("C1", message={"bcallMessage": {"caption": "Ao vivo", "mediaType": 1}}, messageType="bcallMessage")
    late = call("terminate", 2, isGroup=True, isVideo=True)
    rows = apply_in_every_order(call("offer", 0, isVideo=True), unread, record, late)
    assert [(row["kind"], row["details"]) for row in rows["messages"]] == [("call", {"media_type": 1})]


def test_a_stage_without_a_group_says_that_a_call_is_a_video_call_even_if_it_waits_with_later_stages() -> None:
    rows = apply_in_every_order(
        call("offer", 0, isGroup=True, groupJid=GROUP),
        call("ringing", 1, isGroup=True, isVideo=True),
        call("ringing", 1, isGroup=True),
        call("terminate", 2, isGroup=True),
    )
    assert [row["details"] for row in rows["messages"]] == [{"stage": "terminate", "is_video": True}]


# --- reactions and votes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("late", [{"participant": LID}, {"participant": LID, "participantAlt": PHONE}])
def test_a_person_with_two_addresses_has_one_reaction_the_latest(late: Body) -> None:
    rows = apply_in_every_order(
        text("M1", GROUP, from_me=True),
        reaction("R1", "❤️", 1, participant=PHONE),
        reaction("R2", "😂", 2, **late),
        text("X1", GROUP, at=3, key={"participant": LID, "participantAlt": PHONE}),
    )
    (row,) = [row for row in rows["messages"] if row["key_id"] == "M1"]
    assert {author: one["emoji"] for author, one in row["reactions"].items()} == {PHONE: "😂"}


def test_a_reaction_is_removed_under_the_persons_other_address() -> None:
    rows = apply_in_every_order(
        text("M1", PHONE, from_me=True),
        reaction("R1", "👍", 1, LID),
        reaction("R2", "", 2, PHONE),
        text("X0", PHONE, at=3, key={"remoteJidAlt": LID}),
    )
    assert [one["emoji"] for row in rows["messages"] for one in row["reactions"].values()] == [""]


def test_a_person_with_two_addresses_has_one_vote_the_latest() -> None:
    results = [{"name": "sexta", "voters": [LID]}, {"name": "sábado", "voters": []}]
    rows = apply_in_every_order(
        text("M1", GROUP, from_me=True, message={"pollCreationMessageV3": {"name": "Qual dia?"}}),
        vote("V1", "sexta", 1, participant=LID, participantAlt=PHONE),
        vote("V2", "sábado", 2, participant=LID),
        envelope(
            "messages.update",
            {"keyId": "M1", "remoteJid": GROUP, "fromMe": True, "pollUpdates": results},
            "2025-12-11T10:00:03.000Z",
        ),
    )
    (row,) = [row for row in rows["messages"] if row["key_id"] == "M1"]
    assert {author: one["options"] for author, one in row["poll_results"].items()} == {PHONE: ["sábado"]}


@pytest.mark.parametrize("own", [*OWN_PHONES, *OWN_LIDS])
def test_the_instance_has_one_reaction_and_one_vote_under_all_its_addresses(own: str) -> None:
    results = [{"name": "a", "voters": [own]}]
    rows = apply_in_every_order(
        text("M1", GROUP, message={"pollCreationMessageV3": {"name": "Qual?"}}, key={"participant": PHONE}),
        reaction("R1", "❤️", 2, from_me=True),
        reaction("R2", "😂", 1, participant=own),
        sent_in_group(participant=OWN_LIDS[1], participantAlt=OWN_PHONES[1]),
    )
    assert [row["reactions"]["me"]["emoji"] for row in rows["messages"] if row["reactions"]] == ["❤️"]
    rows = apply_in_every_order(
        text("M1", GROUP, message={"pollCreationMessageV3": {"name": "Qual?"}}, key={"participant": PHONE}),
        envelope("messages.update", {"keyId": "M1", "remoteJid": GROUP, "fromMe": False, "pollUpdates": results}),
        sent_in_group(participant=OWN_LIDS[1], participantAlt=OWN_PHONES[1]),
    )
    assert [list(row["poll_results"]) for row in rows["messages"] if row["poll_results"]] == [["me"]]


# --- the instance itself ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("own", OWN_LIDS)
@pytest.mark.parametrize("learnt", [False, True])
def test_the_instances_own_lid_beside_two_numbers_unites_nobody(own: str, learnt: bool) -> None:  # noqa: FBT001 - a parameter of the test
    bodies = [
        text("O1", PHONE, from_me=True, key={"remoteJidAlt": own}),
        text("O2", BOB, from_me=True, at=1, key={"remoteJidAlt": own}),
        envelope(
            "messages.update", {"keyId": "O1", "remoteJid": PHONE, "remoteJidAlt": own, "fromMe": True, "status": 3}
        ),
    ]
    rows = apply_in_every_order(*bodies, *([sent_in_group(participant=own)] if learnt else []))
    assert chats(rows) == {PHONE: ["O1"], BOB: ["O2"], **({GROUP: ["OWN"]} if learnt else {})}
    assert {row["jid"]: row["lid"] for row in rows["contacts"]} == {PHONE: "", BOB: ""}


@pytest.mark.parametrize(
    "learning",
    [
        sent_in_group(participant=OWN_LID),
        sent_in_group(participant=OWNER, participantAlt=OWN_LID),
        envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": OWN_LID, "phoneNumber": OWNER}]}]),
        saved(OWNER, "Loja", lid=OWN_LID),
    ],
)
def test_the_own_lid_in_an_inbound_key_unites_nobody_once_it_is_known(learning: Body) -> None:
    inbound = text("I1", PHONE, key={"remoteJidAlt": OWN_LID}), text("I2", BOB, at=1, key={"senderLid": OWN_LIDS[1]})
    rows = apply_one_by_one([learning, *inbound])
    found = {jid: key_ids for jid, key_ids in chats(rows).items() if jid != GROUP}
    assert found == {PHONE: ["I1"], BOB: ["I2"]}
    assert chats(apply_at_once([*inbound, learning])) == chats(rows)


def test_people_whom_the_own_lid_had_united_are_apart_from_the_moment_it_is_known() -> None:
    rows = apply_one_by_one(
        [
            text("I1", PHONE, key={"remoteJidAlt": OWN_LID}),
            text("I2", BOB, at=DAY, key={"remoteJidAlt": OWN_LID}),
            sent_in_group(participant=OWN_LID),
            text("I3", BOB, at=2 * DAY),
            text("I4", PHONE, at=2 * DAY),
        ]
    )
    found = chats(rows)
    assert sorted(key_id for key_ids in found.values() for key_id in key_ids) == ["I1", "I2", "I3", "I4", "OWN"]
    assert "I3" in found[BOB]
    assert "I4" in found[PHONE]


def test_the_own_number_is_known_from_earlier_events_when_the_body_has_no_sender() -> None:
    connected = envelope("connection.update", {"state": "open", "wuid": OWNER})
    own_alias = text("I1", LID, key={"remoteJidAlt": OWN_PHONES[1]}), text("I2", BOB_LID, key={"senderPn": OWNER})
    for body in own_alias:
        del body["sender"]
    rows = apply_one_by_one([connected, *own_alias])
    assert chats(rows) == {LID: ["I1"], BOB_LID: ["I2"]}
    assert chats(apply_at_once([*own_alias, connected])) == chats(rows)


@pytest.mark.parametrize("participant", [*OWN_PHONES, *OWN_LIDS])
def test_an_edit_of_an_own_group_message_finds_it_under_each_own_address(participant: str) -> None:
    edit = {
        "key": {"id": "M1", "remoteJid": GROUP, "fromMe": True, "participant": participant},
        "type": "MESSAGE_EDIT",
        "editedMessage": {"conversation": "16h"},
        "timestampMs": "1765458060000",
    }
    rows = apply_in_every_order(
        sent_in_group(participant=OWN_LID, participantAlt=OWNER),
        sent_in_group("M1", participant=OWNER),
        envelope("messages.edited", edit),
    )
    assert {row["key_id"]: row["text"] for row in rows["messages"]} == {"OWN": "nossa", "M1": "16h"}


def test_an_own_edit_never_changes_a_message_of_another_participant() -> None:
    edit = {
        "key": {"id": "M1", "remoteJid": GROUP, "fromMe": True, "participant": OWNER},
        "type": "MESSAGE_EDIT",
        "editedMessage": {"conversation": "mudado"},
    }
    rows = apply_in_every_order(text("M1", GROUP, key={"participant": PHONE}), envelope("messages.edited", edit))
    assert [row["text"] for row in rows["messages"]] == ["oi"]


# --- names ------------------------------------------------------------------------------------------------------------
def test_a_saved_name_beats_a_push_name_and_both_are_kept() -> None:
    rows = apply_in_every_order(
        saved(PHONE, "Tia Lu", "2025-12-11T10:00:00.000Z"),
        contact(PHONE, "Lucia", "2025-12-11T10:00:02.000Z"),
        text("M1", PHONE, pushName="Lúcia", at=5),
    )
    (row,) = rows["contacts"]
    assert (row["name"], row["saved_name"], row["push_name"]) == ("Tia Lu", "Tia Lu", "Lucia")
    assert [chat["name"] for chat in rows["conversations"]] == ["Tia Lu"]


@pytest.mark.parametrize("first", [True, False])
def test_evolutions_own_channel_never_gives_a_contact_the_instances_name(first: bool) -> None:  # noqa: FBT001 - a parameter of the test
    bodies = [
        text("E1", PHONE, pushName="Cliente"),
        contact(PHONE, "Cliente", "2025-12-11T10:00:01.000Z"),
        text("E2", PHONE, from_me=True, pushName="Loja"),
        contact(PHONE, "Loja", "2025-12-11T10:00:03.000Z"),
    ]
    for body in bodies:
        del body["sender"]
    rows = apply_in_every_order(*(bodies if first else bodies[2:]))
    assert names(rows) == {PHONE: "Cliente" if first else ""}


def test_a_message_sent_on_the_phone_of_a_cloud_number_has_the_name_of_the_customer() -> None:
    bodies = [text("wamid.1", PHONE, from_me=True, pushName="Cliente"), contact(PHONE, "Cliente")]
    for body in bodies:
        del body["sender"]  # as the Cloud API's channel sends them
    rows = apply_in_every_order(*bodies)
    assert (names(rows), rows["instance"][0]["own_names"]) == ({PHONE: "Cliente"}, [])
    assert [row["sender_name"] for row in rows["messages"]] == [""]


def test_a_contact_may_have_the_same_name_as_the_instance() -> None:
    rows = apply_in_every_order(
        text("E1", PHONE, pushName="Ana"), text("E2", PHONE, from_me=True, pushName="Ana"), contact(PHONE, "Ana")
    )
    assert names(rows) == {PHONE: "Ana"}


@pytest.mark.parametrize(
    "name", ["80000000000100", "+55 21 98765-4321", "\u202a+55 21 98765-4321\u202c", "80000@lid", "Você"]
)
def test_numbers_are_no_names(name: str) -> None:
    record = text("M1", GROUP, pushName=name, key={"participant": LID})["data"]
    rows = apply_in_every_order(envelope("messages.set", [record]), contact(LID, name), saved(LID, name))
    assert [(row["name"], row["push_name"]) for row in rows["contacts"]] == [("", "")]
    assert [row["sender_name"] for row in rows["messages"]] == [""]


# --- halves that belong together --------------------------------------------------------------------------------------
def key(**fields: Any) -> Body:
    return text("M9", PHONE) | {"data": {**text("M9", PHONE)["data"], "key": {"id": "M9", "fromMe": False, **fields}}}


OUR_KEY = {"id": "L1", "fromMe": True}
PAIRS: dict[str, Body] = {
    "remoteJidAlt": key(remoteJid=LID, remoteJidAlt=PHONE),
    "remoteJidAlt the other way round": key(remoteJid=PHONE, remoteJidAlt=LID),
    "senderPn": key(remoteJid=LID, senderPn=PHONE),
    "senderLid": key(remoteJid=PHONE, senderLid=LID),
    "previousRemoteJid": key(remoteJid=PHONE, previousRemoteJid=LID),
    "previousRemoteJid of ours": key(remoteJid=PHONE, previousRemoteJid=LID, fromMe=True),
    "participantAlt": key(remoteJid=GROUP, participant=LID, participantAlt=PHONE),
    "participantPn": key(remoteJid=GROUP, participant=LID, participantPn=PHONE),
    "participantLid": key(remoteJid=GROUP, participant=PHONE, participantLid=LID),
    "broadcast list": key(remoteJid=LIST, participant=LID, participantAlt=PHONE),
    "status": key(remoteJid="status@broadcast", participant=LID, participantAlt=PHONE),
    "ours under the LID": key(remoteJid=LID, remoteJidAlt=PHONE, fromMe=True),
    "receipt of ours under the LID": envelope(
        "messages.update", {"keyId": "L1", "key": {**OUR_KEY, "remoteJid": LID, "remoteJidAlt": PHONE}, "status": 3}
    ),
    "receipt of ours under the number": envelope(
        "messages.update", {"keyId": "L1", "key": {**OUR_KEY, "remoteJid": PHONE, "remoteJidAlt": LID}, "status": 3}
    ),
    "flat receipt of ours": envelope(
        "messages.update", {"keyId": "L1", "remoteJid": PHONE, "remoteJidAlt": LID, "fromMe": True, "status": 3}
    ),
    "receipt of theirs": envelope(
        "messages.update", {"keyId": "L1", "remoteJid": PHONE, "senderLid": LID, "fromMe": False, "status": 4}
    ),
    "receipt of a participant": envelope(
        "messages.update",
        {"keyId": "G1", "remoteJid": GROUP, "participant": LID, "participantAlt": PHONE, "fromMe": True, "status": 4},
    ),
    "deletion": envelope("messages.delete", {"id": "Z", "remoteJid": LID, "remoteJidAlt": PHONE, "fromMe": False}),
    "edit in a group": envelope(
        "messages.edited",
        {"key": {"id": "Z", "remoteJid": GROUP, "participant": LID, "participantAlt": PHONE}, "type": 14},
    ),
    "contact's lid": saved(PHONE, "Ana", lid=LID),
    "contact's jid": envelope("contacts.update", [{"id": LID, "jid": PHONE}]),
    "contact object": envelope("contacts.update", {"remoteJid": LID, "phoneNumber": PHONE}),
    "chat's lid": envelope("chats.upsert", [{"remoteJid": PHONE, "lidJid": LID}]),
    "chat's number": envelope("chats.set", [{"remoteJid": LID, "pnJid": PHONE}]),
    "caller": call("offer", 0, LID, callerPn=PHONE),
    "group participant": envelope(
        "groups.upsert", [{"id": GROUP, "participants": [{"id": LID, "phoneNumber": PHONE}]}]
    ),
    "group participant's lid": envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": PHONE, "lid": LID}]}]),
    "group owner": envelope("groups.upsert", [{"id": GROUP, "owner": LID, "ownerPn": PHONE}]),
    "added participant": envelope(
        "group-participants.update", {"id": GROUP, "action": "add", "participants": [{"id": LID, "jid": PHONE}]}
    ),
    "participantsData": envelope(
        "group-participants.update",
        {"id": GROUP, "action": "add", "participants": [LID], "participantsData": [{"jid": LID, "phoneNumber": PHONE}]},
    ),
}


@pytest.mark.parametrize("where", PAIRS)
def test_halves_unite_wherever_evolution_shows_the_pair(where: str) -> None:
    rows = apply_both_ways(text("L1", LID), text("P1", PHONE, at=1), PAIRS[where])
    assert [(row["jid"], row["lid"]) for row in rows["contacts"]] == [(PHONE, LID.partition("@")[0])]
    assert {"L1", "P1"} <= set(chats(rows)[PHONE])


@pytest.mark.parametrize("in_lid_chat", ["inbound", "outbound"])
def test_a_receipt_of_ours_unites_the_chats_of_messages_that_we_sent(in_lid_chat: str) -> None:
    receipt = {"keyId": "L1", "key": {**OUR_KEY, "remoteJid": PHONE, "remoteJidAlt": LID}, "status": "READ"}
    rows = apply_in_every_order(
        text("L1", LID, from_me=in_lid_chat == "outbound"),
        text("P1", PHONE, from_me=True),
        envelope("messages.update", receipt),
    )
    assert chats(rows) == {PHONE: ["L1", "P1"]}


CHOSEN_BY_CONTACTS = {
    "name": text("X1", LID, pushName="5521987654321@s.whatsapp.net"),
    "text": text("X1", LID, "5521987654321@s.whatsapp.net"),
    "mention": text("X1", LID, contextInfo={"mentionedJid": [PHONE]}),
    "quoted": text(
        "X1",
        LID,
        contextInfo={"participant": PHONE, "stanzaId": "P1", "quotedMessage": {"key": {"remoteJidAlt": PHONE}}},
    ),
    "card": text(
        "X1", LID, message={"contactMessage": {"displayName": "Ana", "vcard": "TEL;waid=5521987654321:+55", "lid": LID}}
    ),
    "reaction's key": text(
        "X1",
        LID,
        message={"reactionMessage": {"key": {"id": "P1", "remoteJid": PHONE, "remoteJidAlt": LID}, "text": "👍"}},
    ),
}


@pytest.mark.parametrize("what", CHOSEN_BY_CONTACTS)
def test_nothing_that_a_contact_chooses_unites_it_with_another(what: str) -> None:
    rows = apply_in_every_order(text("L1", LID), text("P1", PHONE), CHOSEN_BY_CONTACTS[what])
    assert len(rows["contacts"]) == 2


# --- recycled numbers -------------------------------------------------------------------------------------------------
NEW_NUMBER = "5521990000022@s.whatsapp.net"


@pytest.mark.parametrize("gap", [1, 100 * DAY])
def test_a_recycled_number_belongs_to_its_new_owner_and_what_was_said_stays(gap: int) -> None:
    rows = apply_in_every_order(
        text("A1", PHONE, "sou a Lia", pushName="Lia", key={"remoteJidAlt": LID}),
        text("A2", NEW_NUMBER, "número novo", pushName="Lia", at=gap, key={"remoteJidAlt": LID}),
        text("B1", PHONE, "sou o Caio", pushName="Caio", at=2 * gap, key={"remoteJidAlt": BOB_LID}),
    )
    assert chats(rows) == {NEW_NUMBER: ["A1", "A2"], PHONE: ["B1"]}
    assert names(rows) == {NEW_NUMBER: "Lia", PHONE: "Caio"}
    assert {row["key"]: row["contact_id"] for row in rows["addresses"] if row["jid"] == PHONE} == {
        "phone:552187654321": PHONE
    }


def test_of_two_numbers_on_one_day_the_same_one_is_shown_whenever_an_earlier_message_arrives() -> None:
    rows = apply_in_every_order(
        text("A1", NEW_NUMBER, key={"remoteJidAlt": LID}),
        text("A2", PHONE, at=10, key={"remoteJidAlt": LID}),
        text("A3", NEW_NUMBER, at=20, key={"remoteJidAlt": LID}),
    )
    assert chats(rows) == {PHONE: ["A1", "A2", "A3"]}


def test_two_people_with_one_number_on_one_day_have_a_reaction_and_a_vote_each() -> None:
    lia: Body = {"participant": LID, "participantAlt": PHONE}
    caio: Body = {"participant": BOB_LID, "participantAlt": PHONE}
    rows = apply_in_every_order(
        text("M1", GROUP, from_me=True, message={"pollCreationMessageV3": {"name": "Qual?"}}),
        reaction("R1", "👍", 1, **lia),
        reaction("R2", "😂", 1, **caio),
        vote("V1", "a", 1, **caio),
    )
    (row,) = rows["messages"]
    assert {author: one["emoji"] for author, one in row["reactions"].items()} == {PHONE: "👍", BOB_LID: "😂"}
    assert {author: one["options"] for author, one in row["poll_results"].items()} == {BOB_LID: ["a"]}


def test_messages_with_the_number_alone_belong_to_who_had_the_number_then() -> None:
    bodies = [
        text("A1", PHONE, pushName="Lia", key={"remoteJidAlt": LID}),
        text("B1", PHONE, pushName="Caio", at=9 * DAY, key={"remoteJidAlt": BOB_LID}),
        text("A0", PHONE, at=DAY),
        text("B2", PHONE, at=10 * DAY),
        reaction("R1", "👍", 2 * DAY, PHONE),
    ]
    bodies[4]["data"]["message"]["reactionMessage"]["key"]["id"] = "A1"
    for rows in (apply_one_by_one(bodies), apply_at_once(bodies)):
        assert chats(rows) == {LID: ["A0", "A1"], PHONE: ["B1", "B2"]}
        assert [list(row["reactions"]) for row in rows["messages"] if row["reactions"]] == [[LID]]


def test_a_number_that_too_many_lids_have_claimed_keeps_some_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_holders, "MAX_CLAIMS", 2, raising=False)
    claims = [text(f"L{n}", f"{n}00000000000@lid", at=n * DAY, key={"remoteJidAlt": PHONE}) for n in range(1, 5)]
    rows = apply_in_every_order(*claims)
    assert chats(rows) == {PHONE: ["L2"], **{f"{n}00000000000@lid": [f"L{n}"] for n in (1, 3, 4)}}
    assert max(len(row["claims"]) for row in rows["addresses"]) == 2


def test_the_lids_that_had_a_number_are_loaded_for_messages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = new_instance()
    for n in range(1, 5):
        apply_bodies(instance, text(f"L{n}", f"{n}00000000000@lid", at=n * DAY, key={"remoteJidAlt": PHONE}))
    loaded: set[str] = set()
    load = AddressBatch.load

    def load_and_note(batch: AddressBatch, keys: Iterable[str]) -> None:
        load(batch, keys)
        loaded.update(row.jid for row in batch.rows.values())

    monkeypatch.setattr(AddressBatch, "load", load_and_note)
    apply_bodies(instance, envelope("groups.upsert", [{"id": GROUP, "participants": [{"id": PHONE}]}]))
    assert loaded == {PHONE}
    apply_bodies(instance, text("P1", PHONE, at=DAY))
    assert loaded == {PHONE, *(f"{n}00000000000@lid" for n in range(1, 5))}


def test_a_lid_beside_too_many_numbers_waits_for_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_holders, "MAX_CLAIMS", 2)
    numbers = [f"551190000000{n}@s.whatsapp.net" for n in range(4)]
    sent = [text(f"M{n}", phone, from_me=True, key={"remoteJidAlt": LID}) for n, phone in enumerate(numbers)]
    rows = apply_in_every_order(*sent)
    assert [sorted(row["claims"]) for row in rows["addresses"] if row["claims"]] == [numbers[:2]]


def test_a_deletion_under_a_recycled_number_finds_the_message_of_its_former_owner() -> None:
    rows = apply_in_every_order(
        text("A1", PHONE, key={"remoteJidAlt": LID}),
        text("B1", PHONE, at=9 * DAY, key={"remoteJidAlt": BOB_LID}),
        envelope("messages.delete", {"id": "A1", "remoteJid": PHONE, "fromMe": False}),
    )
    assert {row["key_id"]: row["is_deleted"] for row in rows["messages"]} == {"A1": True, "B1": False}


def test_a_number_goes_back_to_a_person_who_shows_it_again() -> None:
    rows = apply_in_every_order(
        text("A1", PHONE, key={"remoteJidAlt": LID}),
        text("B1", PHONE, at=9 * DAY, key={"remoteJidAlt": BOB_LID}),
        text("A2", PHONE, at=20 * DAY, key={"remoteJidAlt": LID}),
    )
    assert chats(rows) == {PHONE: ["A1", "A2"], BOB_LID: ["B1"]}


def test_a_pair_that_was_stored_before_claims_were_does_not_unite_a_recycled_number() -> None:
    instance = new_instance()
    apply_bodies(instance, text("A1", PHONE, key={"remoteJidAlt": LID}))
    ContactAddress.objects.update(claims={})
    apply_bodies(instance, text("B1", PHONE, at=DAY, key={"remoteJidAlt": BOB_LID}))
    assert chats(rows_of(instance)) == {LID: ["A1"], PHONE: ["B1"]}


def test_the_own_names_and_lids_of_an_instance_are_bounded_in_any_order() -> None:
    facts = [OwnIdentity(jid.parse(f"{10**14 + number}@lid"), f"Loja {number:03}") for number in range(MAX_NAMES + 5)]
    kept = []
    for order in (facts, facts[::-1]):
        instance = new_instance()
        apply_facts(instance, order[:60])
        apply_facts(instance, order[60:])
        instance.refresh_from_db()
        kept.append((instance.own_lids, instance.own_names))
    assert kept[0] == kept[1]
    assert list(map(len, kept[0])) == [MAX_LIDS, MAX_NAMES]
