"""The same events give the same rows in any order, with any repetition, and in batches of any size."""

from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conversations.ingest.apply.orders import apply_at_once, apply_in_every_order, apply_one_by_one
from tests.conversations.ingest.bodies import GROUP, LID, PHONE, SECOND, Body, envelope, text
from tests.conversations.ingest.streams import events as any_event
from tests.conversations.ingest.streams import records, recycled
from tests.effort import effort

pytestmark = pytest.mark.django_db

# All examples of hypothesis can share one transaction, because each example creates new instances. PostgreSQL gets
# fewer examples, because an example takes several times as long on PostgreSQL.
EXAMPLES = effort(15 if connection.vendor == "sqlite" else 6, 500)
on_new_instances = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def streams_with_shuffle(draw: st.DrawFn) -> tuple[list[Body], list[Body]]:
    """Draw a list of events, and a permutation of the list in which some events are repeated."""
    stream = draw(st.lists(any_event, min_size=2, max_size=9))
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    return stream, draw(st.permutations(stream + again))


@on_new_instances
@given(streams_with_shuffle())
def test_any_order_and_any_repetition_give_the_same_rows(streams: tuple[list[Body], list[Body]]) -> None:
    stream, shuffled = streams
    assert apply_one_by_one(shuffled) == apply_one_by_one(stream)


@on_new_instances
@given(st.lists(recycled(), min_size=2, max_size=7), st.randoms())
def test_recycled_numbers_give_the_same_rows_in_any_order(stream: list[Body], random: Any) -> None:
    shuffled = stream + stream[:2]
    random.shuffle(shuffled)
    rows = apply_one_by_one(stream)
    assert apply_one_by_one(shuffled) == rows
    assert apply_at_once(shuffled) == rows


@on_new_instances
@given(st.lists(any_event, min_size=1, max_size=8))
def test_one_batch_gives_the_same_rows_as_applying_one_by_one(stream: list[Body]) -> None:
    assert apply_at_once(stream) == apply_one_by_one(stream)


@on_new_instances
@given(st.lists(records(), min_size=1, max_size=6), st.randoms())
def test_copies_with_other_timestamps_never_create_a_second_message(drawn: list[dict[str, Any]], random: Any) -> None:
    copies = [
        envelope("messages.upsert", {**record, "messageTimestamp": SECOND + n}) for record in drawn for n in (0, 60)
    ]
    ordered = apply_one_by_one(copies)
    random.shuffle(copies)
    shuffled = apply_one_by_one(copies)
    assert shuffled == ordered
    keys = [(row["conversation_id"], row["key_id"], row["from_me"]) for row in ordered["messages"]]
    assert len(keys) == len(set(keys))


def test_a_lid_and_its_phone_number_become_one_conversation_in_every_order() -> None:
    rows = apply_in_every_order(
        text("L1", LID, "pelo LID"),
        text("P1", PHONE, "pelo número", at=1),
        text("B1", LID, "os dois", at=2, key={"remoteJidAlt": PHONE}),
        envelope("messages.delete", {"id": "L1", "remoteJid": PHONE, "fromMe": False}),
    )
    (conversation,) = rows["conversations"]
    assert conversation["jid"] == PHONE
    assert conversation["unread_count"] == 3
    assert conversation["last_message_text"] == "os dois"
    (contact,) = rows["contacts"]
    assert (contact["phone"], contact["lid"]) == ("5521987654321", "204857316940182")
    assert [row["key_id"] for row in rows["messages"] if row["is_deleted"]] == ["L1"]


def test_a_message_under_both_addresses_is_one_row_once_the_contacts_are_merged() -> None:
    rows = apply_in_every_order(
        text("M1", LID),
        text("M1", PHONE),
        text("M2", PHONE, at=1, key={"remoteJidAlt": LID}),
        envelope("messages.update", {"keyId": "M1", "remoteJid": PHONE, "fromMe": False, "status": "READ"}),
    )
    assert [row["key_id"] for row in rows["messages"]] == ["M1", "M2"]
    assert [row["unread_count"] for row in rows["conversations"]] == [1]


def test_an_error_wins_over_sent_and_loses_to_delivered() -> None:
    def status(name: str) -> Body:
        return envelope("messages.update", {"keyId": "M1", "remoteJid": PHONE, "fromMe": True, "status": name})

    sent = text("M1", PHONE, from_me=True)
    (failed,) = apply_in_every_order(sent, status("ERROR"), status("SERVER_ACK"))["messages"]
    assert failed["status"] == 2
    (delivered,) = apply_in_every_order(sent, status("ERROR"), status("DELIVERY_ACK"))["messages"]
    assert delivered["status"] == 3


def test_edits_reactions_and_deletions_that_arrive_first_wait_for_their_message() -> None:
    rows = apply_in_every_order(
        text("M1", PHONE),
        envelope(
            "messages.edited",
            {"key": {"id": "M1"}, "type": 14, "editedMessage": {"conversation": "olá"}, "timestampMs": 5},
        ),
        envelope("messages.delete", {"id": "M1", "remoteJid": PHONE, "fromMe": False}),
        envelope(
            "messages.upsert",
            {
                "key": {"id": "R1", "remoteJid": PHONE, "fromMe": False},
                "message": {"reactionMessage": {"key": {"id": "M1"}, "text": "👍"}},
                "messageTimestamp": 1765458009,
            },
        ),
    )
    (row,) = rows["messages"]
    assert (row["text"], row["original_text"], row["is_deleted"]) == ("olá", "oi", True)
    assert [reaction["emoji"] for reaction in row["reactions"].values()] == ["👍"]


def test_an_update_of_one_chat_changes_no_message_of_another_chat_with_the_same_key_id() -> None:
    """The sender's client chooses a message's key id, so a stranger may reuse a key id of another chat."""
    stranger = "5531991234567@s.whatsapp.net"
    rows = apply_in_every_order(
        text("SAME", PHONE, "de Ana"),
        text("SAME", stranger, "do estranho", at=1),
        envelope("messages.delete", {"id": "SAME", "remoteJid": stranger, "fromMe": False}),
        envelope("messages.update", {"keyId": "SAME", "remoteJid": stranger, "fromMe": False, "status": "READ"}),
    )
    by_text = {row["text"]: row for row in rows["messages"]}
    assert not by_text["de Ana"]["is_deleted"]
    assert by_text["do estranho"]["is_deleted"]
    assert {row["jid"]: row["unread_count"] for row in rows["conversations"]} == {PHONE: 1, stranger: 0}


def test_an_empty_copy_never_replaces_content() -> None:
    empty = text("M1", PHONE, at=0)
    empty["data"]["message"] = {}
    (row,) = apply_in_every_order(empty, text("M1", PHONE, "oi", at=3), text("M1", PHONE, "outro", at=4))["messages"]
    assert (row["text"], row["timestamp"].second) == ("oi", 0)


def test_a_participant_who_is_not_in_the_latest_full_list_has_left() -> None:
    def full_list(clock: str, *jids: str) -> Body:
        return envelope(
            "groups.upsert", [{"id": GROUP, "subject": "G", "participants": [{"id": j} for j in jids]}], clock
        )

    rows = apply_in_every_order(
        full_list("2025-12-11T10:00:01.000Z", PHONE, "5531991234567@s.whatsapp.net"),
        full_list("2025-12-11T10:00:02.000Z", PHONE),
    )
    latest = rows["conversations"][0]["participants_as_of"]
    present = [row["contact_id"] for row in rows["participants"] if row["is_present"] and row["clock"] >= latest]
    assert present == [PHONE]


def test_an_answer_from_a_device_marks_older_messages_read_and_one_through_the_api_does_not() -> None:
    def answer(event: str, at: int) -> Body:
        return text("SENT", PHONE, from_me=True, at=at) | {"event": event}

    questions = [text("M1", PHONE, at=0), text("M2", PHONE, at=5), text("M3", PHONE, at=9)]
    (chat,) = apply_in_every_order(*questions, answer("messages.upsert", 5))["conversations"]
    assert chat["unread_count"] == 2  # M2 has the answer's timestamp, so M2 may be newer and stays unread
    (chat,) = apply_in_every_order(*questions, answer("send.message", 20))["conversations"]
    assert chat["unread_count"] == 3


def test_the_cloud_apis_statuses_apply_to_sent_messages_despite_from_me_false() -> None:
    def status(name: str) -> Body:
        update = {"keyId": "wamid.1", "remoteJid": PHONE, "fromMe": False, "participant": PHONE, "status": name}
        return envelope("messages.update", update)

    sent = text("wamid.1", PHONE, from_me=True) | {"event": "send.message"}
    (row,) = apply_in_every_order(sent, status("SENT"), status("DELIVERED"))["messages"]
    assert row["status"] == 3
    (row,) = apply_in_every_order(sent, status("READ"), status("DELIVERED"))["messages"]
    assert row["status"] == 4
