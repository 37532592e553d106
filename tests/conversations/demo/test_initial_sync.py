import pytest

from conversations.demo import conversations, initial_sync, script
from conversations.demo.chat_plan import Chat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CONNECTED, DAY
from conversations.demo.demo_instances import VENDAS
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return initial_sync.events(7, VENDAS, conversations.build_chats(7, VENDAS, 80, 25))


def brought(text: str) -> list[dict[str, object]]:
    """The records of a chat whose past is `text`."""
    (scene,) = script.read(f"== test\n{text}\n", "pt")
    chat = Chat(1, VENDAS, 0, (next(generate_people(rng_for("test"), "pt", "pt")),))
    chat.past = ConversationBuilder(chat, scene, rng_for("play"), CONNECTED - 9 * DAY).build()
    return [
        record
        for event in initial_sync.events(1, VENDAS, [chat])
        if event.name == "messages.set"
        for record in event.data
    ]


def test_the_history_comes_in_large_batches_and_the_last_one_says_so(events: list[Event]) -> None:
    batches = [event for event in events if event.name == "messages.set"]
    assert len(batches) > 3
    assert [len(event.data) for event in batches[:-1]] == [initial_sync.BATCH] * (len(batches) - 1)
    assert [event.root["isLatest"] for event in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].root["progress"] == 100


def test_a_historic_key_has_no_second_address(events: list[Event]) -> None:
    keys = [record["key"] for event in events if event.name == "messages.set" for record in event.data]
    assert {name for key in keys for name in key} == {"remoteJid", "fromMe", "id", "participant"}
    assert all(("participant" in key) == (key["remoteJid"].endswith("@g.us") and not key["fromMe"]) for key in keys)


def test_everything_in_it_was_said_before_the_number_was_connected(events: list[Event]) -> None:
    times = [record["messageTimestamp"] for event in events if event.name == "messages.set" for record in event.data]
    assert max(times) * 1000 < CONNECTED - DAY


def test_a_group_comes_with_its_members_under_both_addresses(events: list[Event]) -> None:
    groups = next(event.data for event in events if event.name == "groups.upsert")
    for group in groups:
        assert group["size"] == len(group["participants"]) == 5
        assert all(member["id"].endswith("@lid") for member in group["participants"])
        assert [member["admin"] for member in group["participants"]].count("superadmin") == 1


def test_the_past_has_its_edits_and_not_what_was_deleted() -> None:
    records = brought("c: oi\nc: senha\nc: [delete]\nc: tudo bem\na: tudo\na: [edit] tudo ótimo")
    assert [record["message"] for record in reversed(records)] == [
        {"conversation": text} for text in ("oi", "tudo bem", "tudo ótimo")
    ]


def test_the_past_knows_nothing_of_reactions_and_calls() -> None:
    assert len(brought("c: oi\na: [react 👍]\nc: [call voice timeout]")) == 1


def test_who_is_not_in_the_address_book_is_called_by_digits(events: list[Event]) -> None:
    items = [item for event in events if event.name == "contacts.upsert" for item in event.data]
    assert any(item["pushName"] == item["remoteJid"].partition("@")[0] for item in items)
    assert any(" " in item["pushName"] for item in items)
