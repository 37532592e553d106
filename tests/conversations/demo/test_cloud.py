from conversations.demo import script
from conversations.demo.chat_plan import Chat
from conversations.demo.cloud import CloudChat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_instances import SUPPORT_CLOUD
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


def webhooks(text: str) -> list[Event]:
    (dialogue,) = script.parse(f"== test\n{text}\n", "en")
    chat = Chat(1, SUPPORT_CLOUD, 0, (next(generate_people(rng_for("test"), "en", "en")),), live_index=0)
    chat.live = ConversationBuilder(chat, dialogue, rng_for("play"), SUPPORT_CLOUD.connected_at).build()
    return list(CloudChat(chat).events())


def test_an_inbound_message_has_no_status_and_its_contact_no_address() -> None:
    message, contact = webhooks("c: hi\n")
    assert (message.name, contact.name) == ("messages.upsert", "contacts.upsert")
    assert "status" not in message.data
    assert set(message.data["key"]) == {"id", "remoteJid", "fromMe"}
    assert set(contact.data) == {"pushName", "instanceId"}


def test_an_answer_has_metas_acknowledgement_statuses() -> None:
    events = webhooks("c: hi\na: hello\nc: bye\n")
    assert [event.data["status"] for event in events if event.name == "messages.update"] == [
        "SENT",
        "DELIVERED",
        "READ",
    ]


def test_a_failed_message_has_the_status_failed() -> None:
    events = webhooks("c: hi\na: [fails] hello\nc: bye\n")
    assert [event.data["status"] for event in events if event.name == "messages.update"] == ["SENT", "FAILED"]


def test_media_have_metas_field_names() -> None:
    message = webhooks("c: [document application/pdf 0 2] statement.pdf\n")[0].data["message"]["documentMessage"]
    assert set(message) == {"id", "mime_type", "sha256", "filename"}
    assert message["filename"] == "statement.pdf"


def test_a_button_is_a_text_with_another_type() -> None:
    data = webhooks("c: [button Replacement]\n")[0].data
    assert (data["messageType"], data["message"]) == ("buttonMessage", {"conversation": "Replacement"})


def test_a_removed_reaction_has_no_text() -> None:
    reactions = [
        event.data["message"]["reactionMessage"]
        for event in webhooks("a: hi\nc: [react 👍]\nc: [unreact]\n")
        if event.data.get("messageType") == "reactionMessage"
    ]
    assert [reaction.get("text") for reaction in reactions] == ["👍", None]
    assert reactions[0]["key"] == reactions[1]["key"]


def test_a_reply_has_the_id_of_the_quoted_message() -> None:
    events = webhooks("c: hi\na^: hello\n")
    assert events[2].data["contextInfo"] == {"stanzaId": events[0].data["key"]["id"]}
