from conversations.demo import script
from conversations.demo.chat_plan import Chat
from conversations.demo.cloud import CloudChat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_instances import SUPPORT
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


def told(text: str) -> list[Event]:
    (scene,) = script.read(f"== test\n{text}\n", "en")
    chat = Chat(1, SUPPORT, 0, (next(generate_people(rng_for("test"), "en", "en")),), live_number=0)
    chat.live = ConversationBuilder(chat, scene, rng_for("play"), SUPPORT.connected_at).build()
    return list(CloudChat(chat).events())


def test_an_inbound_message_has_no_status_and_its_contact_no_address() -> None:
    message, contact = told("c: hi\n")
    assert (message.name, contact.name) == ("messages.upsert", "contacts.upsert")
    assert "status" not in message.data
    assert set(message.data["key"]) == {"id", "remoteJid", "fromMe"}
    assert set(contact.data) == {"pushName", "instanceId"}


def test_an_answer_is_acknowledged_in_metas_words() -> None:
    events = told("c: hi\na: hello\nc: bye\n")
    assert [event.data["status"] for event in events if event.name == "messages.update"] == [
        "SENT",
        "DELIVERED",
        "READ",
    ]


def test_a_message_that_fails_says_so() -> None:
    events = told("c: hi\na: [fails] hello\nc: bye\n")
    assert [event.data["status"] for event in events if event.name == "messages.update"] == ["SENT", "FAILED"]


def test_media_go_by_metas_names() -> None:
    message = told("c: [document application/pdf 0 2] statement.pdf\n")[0].data["message"]["documentMessage"]
    assert set(message) == {"id", "mime_type", "sha256", "filename"}
    assert message["filename"] == "statement.pdf"


def test_a_button_comes_as_a_text_of_another_type() -> None:
    data = told("c: [button Replacement]\n")[0].data
    assert (data["messageType"], data["message"]) == ("buttonMessage", {"conversation": "Replacement"})


def test_a_reaction_taken_back_has_no_text() -> None:
    reactions = [
        event.data["message"]["reactionMessage"]
        for event in told("a: hi\nc: [react 👍]\nc: [unreact]\n")
        if event.data.get("messageType") == "reactionMessage"
    ]
    assert [reaction.get("text") for reaction in reactions] == ["👍", None]
    assert reactions[0]["key"] == reactions[1]["key"]


def test_a_reply_names_what_it_answers() -> None:
    events = told("c: hi\na^: hello\n")
    assert events[2].data["contextInfo"] == {"stanzaId": events[0].data["key"]["id"]}
