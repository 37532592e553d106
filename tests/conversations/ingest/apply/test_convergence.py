"""Applying events is a join: any order and any repetition of the same events end in the same rows."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.evolution import envelope, events
from conversations.ingest.apply.apply import apply
from conversations.models import Instance
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.conversations.ingest.streams import ANA, GROUP, Body, records
from tests.conversations.ingest.streams import envelope as wrap
from tests.conversations.ingest.streams import events as any_event

pytestmark = pytest.mark.django_db

numbers = itertools.count()
# Each example works on instances of its own, so that one transaction serves them all.
# Fewer on a server, where each takes several times as long and nothing else is tried.
EXAMPLES = 60 if connection.vendor == "sqlite" else 20
on_its_own = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


def applied(bodies: Iterable[Body]) -> Rows:
    """Apply the bodies one by one to a new instance, and return its rows."""
    instance = Instance.objects.create(name=f"convergence-{next(numbers)}")
    for body in bodies:
        apply(instance, events.read(envelope.parse_envelope(body)).facts)
    return rows_of(instance)


@st.composite
def shuffled_twice(draw: st.DrawFn) -> tuple[list[Body], list[Body]]:
    """A stream, and a permutation of it with some events repeated."""
    stream = draw(st.lists(any_event, min_size=2, max_size=9))
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    return stream, draw(st.permutations(stream + again))


@on_its_own
@given(shuffled_twice())
def test_any_order_and_any_repetition_end_in_the_same_rows(streams: tuple[list[Body], list[Body]]) -> None:
    stream, shuffled = streams
    assert applied(shuffled) == applied(stream)


@on_its_own
@given(st.lists(any_event, min_size=1, max_size=8))
def test_where_a_stream_is_cut_into_batches_makes_no_difference(stream: list[Body]) -> None:
    instance = Instance.objects.create(name=f"convergence-{next(numbers)}")
    apply(instance, [fact for body in stream for fact in events.read(envelope.parse_envelope(body)).facts])
    assert rows_of(instance) == applied(stream)


@on_its_own
@given(st.lists(records(), min_size=1, max_size=6), st.randoms())
def test_copies_with_new_times_never_make_a_second_message(found: list[dict[str, Any]], random: Any) -> None:
    copies = [
        wrap("messages.upsert", {**record, "messageTimestamp": 1765458000 + n}) for record in found for n in (0, 60)
    ]
    ordered = applied(copies)
    random.shuffle(copies)
    shuffled = applied(copies)
    assert shuffled == ordered
    names = [(row["conversation_id"], row["key_id"], row["from_me"]) for row in ordered["messages"]]
    assert len(names) == len(set(names))


def permutations_agree(*bodies: Body) -> Rows:
    """Check every order of a few events; return the rows they all end in."""
    first, *others = [applied(order) for order in itertools.permutations(bodies)]
    for other in others:
        assert other == first
    return first


def text(key_id: str, jid: str, body: str = "oi", *, mine: bool = False, at: int = 0, **key: Any) -> Body:
    return wrap(
        "messages.upsert",
        {
            "key": {"id": key_id, "remoteJid": jid, "fromMe": mine, **key},
            "message": {"conversation": body},
            "messageType": "conversation",
            "messageTimestamp": 1765458000 + at,
        },
    )


PHONE, LID = ANA


def test_a_lid_and_its_phone_number_become_one_conversation_in_every_order() -> None:
    rows = permutations_agree(
        text("L1", LID, "pelo LID"),
        text("P1", PHONE, "pelo número", at=1),
        text("B1", LID, "os dois", at=2, remoteJidAlt=PHONE),
        wrap("messages.delete", {"id": "L1", "remoteJid": PHONE, "fromMe": False}),
    )
    (conversation,) = rows["conversations"]
    assert conversation["jid"] == PHONE
    assert conversation["unread_count"] == 3
    assert conversation["last_message_text"] == "os dois"
    (contact,) = rows["contacts"]
    assert (contact["phone"], contact["lid"]) == ("5521987654321", "204857316940182")
    assert [row["key_id"] for row in rows["messages"] if row["is_deleted"]] == ["L1"]


def test_the_same_message_under_both_addresses_is_one_row_once_they_meet() -> None:
    rows = permutations_agree(
        text("M1", LID),
        text("M1", PHONE),
        text("M2", PHONE, at=1, remoteJidAlt=LID),
        wrap("messages.update", {"keyId": "M1", "remoteJid": PHONE, "fromMe": False, "status": "READ"}),
    )
    assert [row["key_id"] for row in rows["messages"]] == ["M1", "M2"]
    assert [row["unread_count"] for row in rows["conversations"]] == [1]


def test_an_error_and_an_acknowledgement_agree_in_every_order() -> None:
    def status(name: str) -> Body:
        return wrap("messages.update", {"keyId": "M1", "remoteJid": PHONE, "fromMe": True, "status": name})

    sent = text("M1", PHONE, mine=True)
    (failed,) = permutations_agree(sent, status("ERROR"), status("SERVER_ACK"))["messages"]
    assert failed["status"] == 2
    (delivered,) = permutations_agree(sent, status("ERROR"), status("DELIVERY_ACK"))["messages"]
    assert delivered["status"] == 3


def test_edits_reactions_and_deletions_wait_for_their_message() -> None:
    rows = permutations_agree(
        text("M1", PHONE),
        wrap(
            "messages.edited",
            {"key": {"id": "M1"}, "type": 14, "editedMessage": {"conversation": "olá"}, "timestampMs": 5},
        ),
        wrap("messages.delete", {"id": "M1", "remoteJid": PHONE, "fromMe": False}),
        wrap(
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
    assert [said["emoji"] for said in row["reactions"].values()] == ["👍"]


def test_a_key_id_of_one_chat_changes_nothing_in_another() -> None:
    """Key ids are chosen by the sender's client: a stranger may use one that he has seen elsewhere."""
    stranger = "5531991234567@s.whatsapp.net"
    rows = permutations_agree(
        text("SAME", PHONE, "de Ana"),
        text("SAME", stranger, "do estranho", at=1),
        wrap("messages.delete", {"id": "SAME", "remoteJid": stranger, "fromMe": False}),
        wrap("messages.update", {"keyId": "SAME", "remoteJid": stranger, "fromMe": False, "status": "READ"}),
    )
    by_text = {row["text"]: row for row in rows["messages"]}
    assert not by_text["de Ana"]["is_deleted"]
    assert by_text["do estranho"]["is_deleted"]
    assert {row["jid"]: row["unread_count"] for row in rows["conversations"]} == {PHONE: 1, stranger: 0}


def test_an_empty_copy_never_hides_the_content() -> None:
    empty = text("M1", PHONE, at=0)
    empty["data"]["message"] = {}
    (row,) = permutations_agree(empty, text("M1", PHONE, "oi", at=3), text("M1", PHONE, "outro", at=4))["messages"]
    assert (row["text"], row["timestamp"].second) == ("oi", 0)


def test_a_participant_who_is_not_in_the_latest_full_list_has_left() -> None:
    def full_list(clock: str, *jids: str) -> Body:
        return wrap("groups.upsert", [{"id": GROUP, "subject": "G", "participants": [{"id": j} for j in jids]}], clock)

    rows = permutations_agree(
        full_list("2025-12-11T10:00:01.000Z", PHONE, "5531991234567@s.whatsapp.net"),
        full_list("2025-12-11T10:00:02.000Z", PHONE),
    )
    as_of = rows["conversations"][0]["participants_as_of"]
    present = [row["contact_id"] for row in rows["participants"] if row["is_present"] and row["clock"] >= as_of]
    assert present == [PHONE]


def test_an_answer_from_the_phone_shows_that_the_chat_was_read_and_one_of_a_bot_does_not() -> None:
    def answered(event: str, at: int) -> Body:
        return text("OURS", PHONE, mine=True, at=at) | {"event": event}

    asked = [text("M1", PHONE, at=0), text("M2", PHONE, at=5), text("M3", PHONE, at=9)]
    (chat,) = permutations_agree(*asked, answered("messages.upsert", 5))["conversations"]
    assert chat["unread_count"] == 2  # the one of the same second may have come after the answer
    (chat,) = permutations_agree(*asked, answered("send.message", 20))["conversations"]
    assert chat["unread_count"] == 3


def test_the_cloud_apis_statuses_are_of_our_messages_whatever_it_says() -> None:
    def status(name: str) -> Body:
        said = {"keyId": "wamid.1", "remoteJid": PHONE, "fromMe": False, "participant": PHONE, "status": name}
        return wrap("messages.update", said)

    sent = text("wamid.1", PHONE, mine=True) | {"event": "send.message"}
    (row,) = permutations_agree(sent, status("SENT"), status("DELIVERED"))["messages"]
    assert row["status"] == 3
    (row,) = permutations_agree(sent, status("READ"), status("DELIVERED"))["messages"]
    assert row["status"] == 4
