"""Each type of chat message gives the expected row, for each kind of Evolution's WhatsApp connections."""

from typing import Any
from unittest import mock

import pytest

from conversations.models import Conversation, Instance, Message, WebhookEvent
from tests.conversations.ingest.apply.orders import apply_in_every_order
from tests.conversations.ingest.bodies import envelope
from tests.conversations.ingest.receive import receive
from tests.payloads import captured, sample

pytestmark = pytest.mark.django_db

MARIANA = "5521987654321@s.whatsapp.net"
TEAM = "120363041785296310@g.us"
INBOUND = {"from_me": False, "status": Message.Status.DELIVERED, "is_deleted": False}


def instance_of(body: dict[str, Any]) -> Instance:
    return Instance.objects.upsert(body.get("instance") or "errors")[0]


def message_of(body: dict[str, Any]) -> Message:
    """Apply one webhook body; return the only message in the database."""
    event = receive(instance_of(body), body)
    assert event.outcome == WebhookEvent.Outcome.APPLIED, event.reason
    return Message.objects.select_related("conversation", "sender").get()


BAILEYS: dict[str, dict[str, Any]] = {
    "messages.upsert.json": {"kind": "text", "text": "Bom dia! Vocês entregam em Niterói?", "source": "android"},
    "messages.upsert.ephemeral-wrapper.json": {"kind": "text", "text": "isso some em 24h"},
    "messages.upsert.lid-addressed-2.3.7.json": {"kind": "text", "text": "oi"},
    "messages.upsert.senderPn-2.3.0.json": {"kind": "text", "text": "oi"},
    "messages.upsert.reply.json": {
        "kind": "text",
        "text": "Perfeito, pode mandar",
        "quoted_key_id": "AC6E8E9309F2F20A172E6677DAC9BAE1",
        "quoted_sender": "5511940028922@s.whatsapp.net",
        "quoted_text": "O frete para Niterói é R$ 18,90",
    },
    "messages.upsert.image.json": {
        "kind": "image",
        "text": "Comprovante do pix",
        "media": {"mimetype": "image/jpeg", "size": 184213, "width": 1200, "height": 1600},
    },
    "messages.upsert.video.json": {
        "kind": "video",
        "text": "olha o produto",
        "media": {"mimetype": "video/mp4", "size": 2811930, "seconds": 21, "width": 478, "height": 848},
    },
    "messages.upsert.audio.json": {
        "kind": "audio",
        "text": "",
        "media": {"mimetype": "audio/ogg; codecs=opus", "size": 9120, "seconds": 4, "is_voice": True},
    },
    "messages.upsert.document-with-caption.json": {
        "kind": "document",
        "text": "segue a proposta",
        "media": {
            "mimetype": "application/pdf",
            "size": 88120,
            "file_name": "Proposta.pdf",
            "title": "Proposta.pdf",
            "pages": 3,
        },
    },
    "messages.upsert.location.json": {
        "kind": "location",
        "text": "Plaza Niterói",
        "details": {
            "degrees_latitude": -22.8838,
            "degrees_longitude": -43.1034,
            "address": "R. Quinze de Novembro, 8",
        },
    },
    "messages.upsert.contact.json": {"kind": "contact", "text": "Ana Financeiro"},
    "messages.upsert.buttons-response.json": {
        "kind": "button_reply",
        "text": "Sim",
        "details": {"selected_button_id": "sim"},
        "quoted_key_id": "3EB0A4C98A8CBD5B936687",
    },
    "messages.upsert.list-response.json": {
        "kind": "list_reply",
        "text": "Pizza grande",
        "quoted_text": "Cardápio",
        "details": {"description": "8 fatias", "single_select_reply": {"selected_row_id": "pizza-g"}},
    },
}


@pytest.mark.parametrize(("name", "expected"), BAILEYS.items(), ids=BAILEYS)
def test_a_direct_message_of_the_baileys_channel(name: str, expected: dict[str, Any]) -> None:
    row = message_of(sample(name))
    assert {field: getattr(row, field) for field in expected} == expected
    assert {field: getattr(row, field) for field in INBOUND} == INBOUND
    assert row.timestamp.isoformat() == "2025-12-11T13:00:00+00:00"
    chat = row.conversation
    assert (chat.kind, chat.jid, chat.name, chat.unread_count) == ("direct", MARIANA, "Mariana Couto", 1)
    assert chat.last_message == row
    assert chat.last_message_text == row.text
    assert row.sender == chat.contact
    assert row.sender_name == "Mariana Couto"


def test_the_author_of_a_group_message_has_both_addresses() -> None:
    row = message_of(sample("messages.upsert.group.json"))
    assert row.sender is not None
    assert (row.sender.phone, row.sender.lid, row.sender.name) == ("5531991234567", "176093845520917", "Rafael")
    assert (row.conversation.kind, row.conversation.jid, row.conversation.name) == ("group", TEAM, "")
    assert row.details == {"mentioned_jid": ["176093845520917@lid"]}


def test_a_poll_contains_its_options() -> None:
    row = message_of(sample("messages.upsert.poll.json"))
    assert (row.kind, row.text) == ("poll", "Qual horário?")
    assert [option["option_name"] for option in row.details["options"]] == ["9h", "14h"]


def test_a_status_is_stored_and_never_unread() -> None:
    row = message_of(sample("messages.upsert.status-broadcast.json"))
    assert (row.conversation.kind, row.conversation.unread_count) == ("status", 0)
    assert row.sender is not None
    assert row.sender.phone == "5521987654321"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("send.message.json", {"kind": "text", "text": "Sim! Entregamos em Niterói.", "status": 0}),
        ("send.message.image.json", {"kind": "image", "text": "Tabela de preços", "status": 0}),
        ("messages.upsert.from-phone.json", {"kind": "text", "text": "Respondi pelo celular", "status": 1}),
    ],
)
def test_sent_messages_are_not_unread(name: str, expected: dict[str, Any]) -> None:
    row = message_of(sample(name))
    assert {field: getattr(row, field) for field in expected} == expected
    assert (row.from_me, row.sender, row.conversation.unread_count) == (True, None, 0)


def test_all_stages_of_an_incoming_call_are_one_message() -> None:
    offered, ended = sample("call.json"), sample("call.json")
    ended["data"] |= {"status": "timeout", "date": "2025-12-11T13:00:40.000Z"}
    receive(instance_of(ended), ended)
    row = message_of(offered)
    assert (row.kind, row.details) == ("call", {"stage": "timeout", "is_video": False})
    assert row.timestamp.isoformat() == "2025-12-11T13:00:00+00:00"
    assert row.conversation.unread_count == 0


def test_an_end_of_a_video_call_that_does_not_say_so_leaves_it_a_video_call() -> None:
    call = {"id": "C1", "chatId": MARIANA, "from": MARIANA, "date": "2025-12-11T13:00:00.000Z"}
    states: tuple[dict[str, Any], ...] = (
        {"status": "offer", "isVideo": True},
        {"status": "terminate", "isVideo": True},
        {"status": "reject"},
        {"status": "ringing", "isGroup": True},
    )
    row = apply_in_every_order(*(envelope("call", call | state) for state in states))["messages"][0]
    assert row["details"] == {"stage": "reject", "is_video": True}


def test_a_history_import_stores_old_messages_and_says_nothing_of_unread() -> None:
    body = sample("messages.set.json")
    receive(instance_of(body), body)
    chat = Conversation.objects.get()
    texts = list(chat.messages.order_by("timestamp").values_list("text", "from_me", "status", "is_history"))
    assert texts == [
        ("Oi, preciso do orçamento", False, 4, True),
        ("Claro, já envio", True, 4, True),
        ("Obrigada!", False, 3, True),
    ]
    assert (chat.name, chat.unread_count, chat.last_message_text) == ("Mariana Couto", 0, "Obrigada!")


def apply_recorded(name: str) -> dict[str, Message]:
    """Apply all recorded webhook bodies of one instance; return the instance's messages by key id."""
    for line in captured():
        if line["body"].get("instance") == name:
            event = receive(instance_of(line["body"]), line["body"])
            assert event.outcome in ("applied", "ignored"), (event.name, event.reason)
    return {row.key_id: row for row in Message.objects.filter(instance__name=name)}


# key id of a message → expected (kind, text, media, details)
# The name of a file contains its instance.
THUMBNAIL = {"thumbnail": mock.ANY}
RECORDED: dict[str, dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]]] = {
    "inj": {  # Baileys
        "T1": ("text", "oi", {}, {}),
        "T2": (
            "text",
            "see https://x.y",
            {},
            {"mentioned_jid": ["5511900000009@s.whatsapp.net"], "is_forwarded": True, "forwarding_score": 2},
        ),
        "IMG": ("image", "cap", {"mimetype": "image/jpeg", "size": 68123, "width": 600, "height": 800} | THUMBNAIL, {}),
        "VID": (
            "video",
            "v",
            {"mimetype": "video/mp4", "size": 68123, "seconds": 5, "width": 600, "height": 800} | THUMBNAIL,
            {},
        ),
        "AUD": ("audio", "", {"mimetype": "audio/ogg; codecs=opus", "size": 900, "seconds": 3, "is_voice": True}, {}),
        "DOC": (
            "document",
            "c",
            {"mimetype": "application/pdf", "size": 1000, "file_name": "a.pdf", "title": "a.pdf", "pages": 2},
            {},
        ),
        "STK": ("sticker", "", {"mimetype": "image/webp", "size": 100}, {}),
        "LOC": ("location", "P", {}, {"degrees_latitude": -23.5, "degrees_longitude": -46.6, "address": "A"}),
        "CON": ("contact", "Bob", {}, {"vcard": "BEGIN:VCARD\nEND:VCARD"}),
        "CONS": ("contacts", "2 contacts", {}, {"contacts": [{"display_name": "Bob", "vcard": "v"}]}),
        "POLL": (
            "poll",
            "Q?",
            {},
            {"options": [{"option_name": "a"}, {"option_name": "b"}], "selectable_options_count": 1},
        ),
        "BTN": ("button_reply", "Yes", {}, {"selected_button_id": "b1"}),
    },
    "meta1": {  # the Cloud API
        "wamid.TEXT": ("text", "hello", {}, {}),
        "wamid.TEXT2": ("text", "reply", {}, {}),
        "wamid.IMG": ("image", "cap", {"mimetype": "image/jpeg", "id": "MID1"}, {}),
        "wamid.AUD": ("audio", "", {"mimetype": "audio/ogg; codecs=opus", "is_voice": True, "id": "MID2"}, {}),
        "wamid.VID": ("video", "", {"mimetype": "video/mp4", "id": "MID5"}, {}),
        "wamid.DOC": ("document", "", {"mimetype": "application/pdf", "file_name": "a.pdf", "id": "MID3"}, {}),
        "wamid.STK": ("sticker", "", {"mimetype": "image/webp", "id": "MID4"}, {}),
        "wamid.LOC": ("location", "P", {}, {"degrees_latitude": -23.5, "degrees_longitude": -46.6, "address": "A"}),
        "wamid.BTN": ("button_reply", "Yes", {}, {}),
        "wamid.INTB": ("interactive_reply", "Btn", {}, {}),
        "wamid.INTL": ("interactive_reply", "Row", {}, {}),
        "wamid.NFM": ("interactive_reply", "", {}, {}),
    },
    "evo1": {  # Evolution's own channel
        "E1": ("text", "hi", {}, {}),
        "921b9fca-aa6f-4692-a0c4-8c778826f9da": ("text", "out", {}, {}),
        "2621edbf-ae71-4e5d-a886-23d92ea07218": ("text", "q", {}, {}),
        "3e197ab9-4215-47ab-8f82-f09a51389a65": ("image", "", {}, {}),
    },
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_bodies_of_a_real_server(name: str) -> None:
    rows = apply_recorded(name)
    expected = RECORDED[name]
    assert {key: (rows[key].kind, rows[key].text, rows[key].media, rows[key].details) for key in expected} == expected
    assert not [row.key_id for row in rows.values() if row.kind == "unknown"]


def test_a_baileys_reaction_belongs_to_its_message_and_is_no_message() -> None:
    rows = apply_recorded("inj")
    assert "REA" not in rows
    assert [reaction["emoji"] for reaction in rows["T1"].reactions.values()] == ["👍"]
    chat = Conversation.objects.get(instance__name="inj")
    assert (chat.name, chat.unread_count) == ("Alice", 12)
    assert rows["T2"].quoted_key_id == "T1"


def test_cloud_api_statuses_replies_and_a_removed_reaction() -> None:
    rows = apply_recorded("meta1")
    assert (
        rows["wamid.TEXT"].status == Message.Status.READ
    )  # the recorded server sent the statuses SENT, DELIVERED, READ and FAILED in this order
    assert rows["wamid.TEXT2"].quoted_key_id == "wamid.TEXT"
    assert [reaction["emoji"] for reaction in rows["wamid.TEXT"].reactions.values()] == [""]
    names = dict(Conversation.objects.filter(instance__name="meta1").values_list("jid", "name"))
    assert names["5511966665555@s.whatsapp.net"] == "Carla"


def test_evolution_channel_answers_go_to_the_same_conversation() -> None:
    rows = apply_recorded("evo1")
    assert {row.conversation.jid for row in rows.values()} == {"5511988887777@s.whatsapp.net"}
    sent = rows["2621edbf-ae71-4e5d-a886-23d92ea07218"]
    assert (sent.from_me, sent.status, sent.quoted_key_id) == (True, Message.Status.PENDING, "E1")
    assert Instance.objects.get(name="evo1").is_removed
