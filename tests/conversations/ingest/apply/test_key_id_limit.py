"""One key id in many chats: an event costs no more than in one chat, and the rows do not depend on the order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Length
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest.apply import message_rows, messages
from conversations.ingest.apply.apply import apply
from conversations.models import Instance, Message
from tests.conversations.ingest.apply.orders import (
    apply_at_once,
    apply_bodies,
    apply_in_every_order,
    apply_one_by_one,
    facts_of,
    new_instance,
)
from tests.conversations.ingest.apply.test_batch_size import lines_run
from tests.conversations.ingest.bodies import ANA, GROUP, PEOPLE, PHONE, SECOND, Body, envelope, text
from tests.effort import effort

pytestmark = pytest.mark.django_db

STRANGER = "77000000000077@lid"  # no event says which phone number it belongs to
BOB = PEOPLE[1][0]


def phone(number: int) -> str:
    return f"{1000000 + number}@s.whatsapp.net"


def planted(count: int) -> Instance:
    """Return an instance with messages with the key id X in `count` chats."""
    instance = new_instance()
    apply_bodies(instance, envelope("messages.upsert", [text("X", phone(n))["data"] for n in range(count)]))
    return instance


def status(jid: str, name: str = "READ", *, from_me: bool = False) -> Body:
    return envelope("messages.update", {"keyId": "X", "remoteJid": jid, "fromMe": from_me, "status": name})


def edit(jid: str, edited: str, at: int = 0) -> Body:
    key = {"id": "X", "remoteJid": jid, "fromMe": True}
    fields = {"editedMessage": {"conversation": edited}, "timestampMs": str((SECOND + at) * 1000)}
    return envelope("messages.edited", {"key": key, "type": "MESSAGE_EDIT", **fields})


def votes(jid: str) -> Body:
    results = [{"name": "a", "voters": [f"{7000 + n}@lid" for n in range(5)]}]
    return envelope("messages.update", {"keyId": "X", "remoteJid": jid, "fromMe": False, "pollUpdates": results})


def reaction(jid: str) -> Body:
    content = {"reactionMessage": {"key": {"id": "X"}, "text": "👍", "senderTimestampMs": SECOND * 1000}}
    return text(f"R{jid}", jid, message=content, at=1)


@contextmanager
def loaded_messages() -> Iterator[list[Message]]:
    """Collect the objects of messages that are made from here on."""
    found: list[Message] = []

    def collect(instance: Message, **_: Any) -> None:
        found.append(instance)

    post_init.connect(collect, sender=Message)
    try:
        yield found
    finally:
        post_init.disconnect(collect, sender=Message)


EVENTS = {
    "status": status(STRANGER),
    "edit": edit(STRANGER, "olá"),
    "poll": votes(STRANGER),
    "message": text("X", phone(1), "de novo"),
    "status with a chat": status(phone(1)),
    "reaction": reaction(phone(1)),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_costs_the_same_however_many_chats_have_its_key_id(name: str) -> None:
    def cost(count: int) -> tuple[int, int]:
        instance = planted(count)
        with CaptureQueriesContext(connection) as queries, loaded_messages() as found:
            apply_bodies(instance, EVENTS[name])
        return len(queries), len(found)

    assert cost(3 * message_rows.MAX_SAME_KEY) == cost(6 * message_rows.MAX_SAME_KEY)


def test_an_edit_without_a_chat_is_written_to_a_limited_number_of_messages() -> None:
    for count in (message_rows.MAX_SAME_KEY, 2 * message_rows.MAX_SAME_KEY):
        instance = planted(count)
        apply_bodies(instance, edit(STRANGER, "o" * 1000), edit(STRANGER, "p" * 1000, at=1))
        chars = Message.objects.filter(instance=instance).aggregate(chars=Sum(Length("text")))["chars"]
        assert chars <= 1000 * message_rows.MAX_SAME_KEY


def test_reactions_are_not_compared_with_the_messages_of_other_chats() -> None:
    def work(count: int) -> int:
        instance = planted(count)
        facts = [fact for n in range(count) for fact in facts_of(reaction(phone(n)))]
        return lines_run(lambda: apply(instance, facts))

    assert work(80) < 3 * work(40)
    assert all(row.reactions for row in Message.objects.all())


def test_a_batch_loads_the_messages_of_its_chats_only() -> None:
    instance = new_instance()
    keys, chats = [f"K{n}" for n in range(4)], range(message_rows.MAX_SAME_KEY + 1)
    apply(instance, [fact for key in keys for n in chats for fact in facts_of(text(key, phone(n)))])
    rows, crowded = message_rows.load(instance, [*keys, "other"])
    assert (rows, crowded) == ([], set(keys))
    contacts = dict(Message.objects.values_list("conversation__jid", "conversation__contact"))
    named = {key: {contacts[phone(n)]} for n, key in enumerate(keys)}
    found = message_rows.load_in_chats(instance, named)
    assert sorted((row.key_id, row.conversation.jid) for row in found) == [
        (key, phone(n)) for n, key in enumerate(keys)
    ]


def test_the_messages_of_other_key_ids_are_all_found_beside_a_crowded_one() -> None:
    instance = planted(4 * message_rows.MAX_SAME_KEY)
    keys = [f"K{n}" for n in range(7)]
    apply(instance, [fact for key in keys for jid in (PHONE, BOB) for fact in facts_of(text(key, jid))])
    rows, crowded = message_rows.load(instance, ["X", *keys])
    assert sorted(row.key_id for row in rows) == sorted(2 * keys)
    assert crowded == {"X"}


def test_updates_that_name_their_chat_reach_it_in_every_order_whatever_the_key_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message_rows, "MAX_SAME_KEY", 1)
    monkeypatch.setattr(messages, "MAX_PENDING", 20)
    rows = apply_in_every_order(
        text("X", PHONE, "de Ana"),
        text("X", BOB, "de Bob", at=1),
        text("X", GROUP, "no grupo", at=2, key={"participant": PHONE}),
        status(BOB),
        envelope("messages.delete", {"id": "X", "remoteJid": GROUP, "fromMe": False, "participant": PHONE}),
        reaction(PHONE),
    )
    by_text = {row["text"]: row for row in rows["messages"]}
    assert {body: (row["status"] == 4, row["is_deleted"], bool(row["reactions"])) for body, row in by_text.items()} == {
        "de Ana": (False, False, True),
        "de Bob": (True, False, False),
        "no grupo": (False, True, False),
    }


def test_an_acknowledgement_under_a_lid_reaches_its_message_in_every_order() -> None:
    (row,) = apply_in_every_order(text("X", PHONE, from_me=True), status(STRANGER, from_me=True))["messages"]
    assert row["status"] == 4


# --- one key id, in chats whose LIDs are paired early, late or never ------------------------------------------------
jids = st.sampled_from([*ANA, *PEOPLE[1], GROUP])
streams = st.lists(
    st.one_of(
        st.builds(lambda jid, from_me: text("X", jid, from_me=from_me), jids, st.booleans()),
        st.builds(
            lambda jid, name, from_me: status(jid, name, from_me=from_me),
            jids | st.just(STRANGER),
            st.sampled_from(["DELIVERY_ACK", "READ"]),
            st.booleans(),
        ),
        st.builds(edit, jids | st.just(STRANGER), st.sampled_from(["olá", "ok"]), st.integers(0, 2)),
        st.builds(votes, jids | st.just(STRANGER)),
        st.builds(reaction, jids.filter(lambda jid: jid != GROUP)),
        st.builds(
            lambda pair: envelope("contacts.upsert", [{"remoteJid": pair[0], "lid": pair[1]}]), st.sampled_from(PEOPLE)
        ),
    ),
    min_size=3,
    max_size=9,
)
EXAMPLES = effort(15 if connection.vendor == "sqlite" else 5, 500)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams, st.randoms())
def test_one_key_id_in_several_chats_gives_the_same_rows_in_any_order(stream: list[Body], random: Any) -> None:
    shuffled = stream + stream[:2]
    random.shuffle(shuffled)
    rows = apply_one_by_one(stream)
    assert apply_one_by_one(shuffled) == rows
    assert apply_at_once(shuffled) == rows
