import pytest

from conversations.demo import initial_sync, script
from conversations.demo.chat_plan import Chat
from conversations.demo.chats import build_chats
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CONNECTED, DAY
from conversations.demo.demo_instances import SALES_SP
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return initial_sync.events(7, SALES_SP, build_chats(7, SALES_SP, 80, 25))


def historic_records(text: str) -> list[dict[str, object]]:
    """Return the message records of a demo chat whose history is the dialogue `text`."""
    (dialogue,) = script.parse(f"== test\n{text}\n", "pt")
    chat = Chat(1, SALES_SP, 0, (next(generate_people(rng_for("test"), "pt", "pt")),))
    chat.history = ConversationBuilder(chat, dialogue, rng_for("play"), CONNECTED - 9 * DAY).build()
    return [
        record
        for event in initial_sync.events(1, SALES_SP, [chat])
        if event.name == "messages.set"
        for record in event.data
    ]


def test_the_history_is_sent_in_batches_and_the_last_one_is_marked(events: list[Event]) -> None:
    batches = [event for event in events if event.name == "messages.set"]
    assert len(batches) > 3
    assert [len(event.data) for event in batches[:-1]] == [initial_sync.MESSAGES_PER_BODY] * (len(batches) - 1)
    assert [event.extra["isLatest"] for event in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].extra["progress"] == 100


def test_a_historic_key_has_no_alternative_address(events: list[Event]) -> None:
    keys = [record["key"] for event in events if event.name == "messages.set" for record in event.data]
    assert {name for key in keys for name in key} == {"remoteJid", "fromMe", "id", "participant"}
    assert all(("participant" in key) == (key["remoteJid"].endswith("@g.us") and not key["fromMe"]) for key in keys)


def test_historic_messages_are_older_than_the_connection(events: list[Event]) -> None:
    times = [record["messageTimestamp"] for event in events if event.name == "messages.set" for record in event.data]
    assert max(times) * 1000 < CONNECTED - DAY


def test_a_groups_members_have_lids(events: list[Event]) -> None:
    groups = next(event.data for event in events if event.name == "groups.upsert")
    for group in groups:
        assert group["size"] == len(group["participants"]) == 5
        assert all(member["id"].endswith("@lid") for member in group["participants"])
        assert [member["admin"] for member in group["participants"]].count("superadmin") == 1


def test_the_history_has_edits_applied_and_no_deleted_messages() -> None:
    records = historic_records("c: oi\nc: senha\nc: [delete]\nc: tudo bem\na: tudo\na: [edit] tudo ótimo")
    assert [record["message"] for record in reversed(records)] == [
        {"conversation": text} for text in ("oi", "tudo bem", "tudo ótimo")
    ]


def test_the_history_has_no_reactions_and_calls() -> None:
    assert len(historic_records("c: oi\na: [react 👍]\nc: [call voice timeout]")) == 1


def test_a_contact_outside_of_the_address_book_has_digits_as_its_name(events: list[Event]) -> None:
    items = [item for event in events if event.name == "contacts.upsert" for item in event.data]
    assert any(item["pushName"] == item["remoteJid"].partition("@")[0] for item in items)
    assert any(" " in item["pushName"] for item in items)
