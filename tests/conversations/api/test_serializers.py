"""The serializers return the documented JSON for each field of each model."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from conversations.api.serializers.conversation import ConversationSerializer
from conversations.models import Contact, Conversation, Instance, Message, Participant
from tests.conversations.api.conftest import ApiCall
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

NOON_TEXT = "2026-03-01T12:00:00Z"
NOON_MS = 1772366400000
TIMES = {"created_at": NOON, "updated_at": NOON}


def set_times(*rows: Any) -> None:
    for row in rows:
        type(row).objects.filter(pk=row.pk).update(**TIMES)


def test_an_instance_has_these_fields(get: ApiCall) -> None:
    labels = {
        "2": {"name": "novo", "color": 3, "deleted": False},
        "1": {"name": "pago", "color": None, "deleted": False},
        "9": {"name": "velho", "color": 1, "deleted": True},
    }
    fields = {"name": "sales", "server_url": "https://evo.example", "state": "open", "state_reason": 200}
    fields |= {"owner_jid": "5511@s.whatsapp.net", "profile_name": "Sales", "picture_url": "https://cdn.example/p"}
    instance = an_instance(**fields, labels=labels, qr_code="data:image/png;base64,AA", evolution_id="uuid")
    set_times(instance)
    expected = {
        **fields,
        "id": instance.pk,
        "is_removed": False,
        "labels": [{"id": "1", "name": "pago", "color": None}, {"id": "2", "name": "novo", "color": 3}],
        "label_count": 2,
        "created_at": NOON_TEXT,
        "updated_at": NOON_TEXT,
    }
    assert get("instances/")["results"] == [expected]
    assert get(f"instances/{instance.pk}/") == {**expected, "qr_code": "data:image/png;base64,AA"}


def test_a_removed_instance_is_closed_although_it_goes_on_to_connect(get: ApiCall) -> None:
    instance = an_instance(state="connecting", is_removed=True)
    assert get(f"instances/{instance.pk}/")["state"] == "close"
    assert get("instances/")["results"][0]["state"] == "close"


def test_a_deleted_label_leaves_all_conversations(get: ApiCall) -> None:
    instance = an_instance(labels={"1": {"name": "velho", "deleted": True}, "2": {"name": "novo"}})
    chat = a_chat(instance, labels={"1": True, "2": True, "3": False})
    other = a_chat(instance, labels={"1": True})
    assert get(f"conversations/{chat.pk}/")["labels"] == ["2"]
    labels = {row["id"]: row["labels"] for row in get("conversations/")["results"]}
    assert labels == {chat.pk: ["2"], other.pk: []}


def test_an_instance_exposes_no_token_or_hash(api: APIClient) -> None:
    instance = an_instance()
    token = Instance.objects.issue_token(instance.pk)
    Instance.objects.issue_token(instance.pk)
    instance.refresh_from_db()
    for path in ("instances/", f"instances/{instance.pk}/"):
        body = api.get(f"/api/v1/{path}").content.decode()
        assert "token" not in body
        assert not any(secret in body for secret in (token, instance.token_hash, instance.previous_token_hash))


def test_a_contact_has_these_fields(get: ApiCall) -> None:
    instance = an_instance()
    contact = a_contact(instance, jid="5511@s.whatsapp.net", phone="5511", lid="77", name="Ana", presence="composing")
    set_times(contact)
    expected = {
        "id": contact.pk,
        "instance_id": instance.pk,
        "jid": "5511@s.whatsapp.net",
        "phone": "5511",
        "lid": "77",
        "name": "Ana",
        "custom_name": None,
        "saved_name": "",
        "push_name": "",
        "picture_url": "",
        "presence": "composing",
        "last_seen_at": None,
        "created_at": NOON_TEXT,
        "updated_at": NOON_TEXT,
    }
    assert get(f"contacts/{contact.pk}/") == expected
    assert get("contacts/")["results"] == [expected]


def test_an_unknown_presence_is_null(get: ApiCall) -> None:
    contact = a_contact(an_instance())
    data = get(f"contacts/{contact.pk}/")
    assert (data["presence"], data["last_seen_at"]) == (None, None)
    Contact.objects.filter(pk=contact.pk).update(last_seen_at=NOON)
    assert get(f"contacts/{contact.pk}/")["last_seen_at"] == NOON_TEXT


def test_a_conversation_has_these_fields(get: ApiCall) -> None:
    instance = an_instance()
    chat = a_chat(instance, name="Ana", unread_count=2, is_pinned=True, labels={"2": True, "10": True, "1": False})
    message = a_message(chat, timestamp=NOON)
    last = {"last_message": message, "last_message_at": NOON, "last_message_text": "oi", "last_message_kind": "text"}
    Conversation.objects.filter(pk=chat.pk).update(**last, **TIMES)
    expected = {
        "id": chat.pk,
        "instance_id": instance.pk,
        "kind": "direct",
        "jid": chat.jid,
        "contact_id": chat.contact_id,
        "name": "Ana",
        "custom_name": None,
        "last_message": {"id": message.pk, "at": NOON_TEXT, "text": "oi", "kind": "text", "from_me": False},
        "unread_count": 2,
        "is_marked_unread": False,
        "is_archived": False,
        "is_pinned": True,
        "muted_until": None,
        "is_deleted": False,
        "labels": ["10", "2"],
        "label_count": 2,
        "created_at": NOON_TEXT,
        "updated_at": NOON_TEXT,
    }
    assert get("conversations/")["results"] == [expected]
    assert get(f"conversations/{chat.pk}/") == {**expected, "participants": [], "participant_count": 0}


def test_a_conversation_without_messages_has_no_last_message(api: APIClient, get: ApiCall) -> None:
    chat = a_chat(an_instance())
    assert get(f"conversations/{chat.pk}/")["last_message"] is None
    assert b"1970" not in api.get("/api/v1/conversations/").content


def test_a_group_lists_its_current_participants(get: ApiCall) -> None:
    instance = an_instance()
    group = a_group(instance, participants_as_of="5")
    members = {name: a_contact(instance, name=name) for name in ("Caio", "Ana", "left", "gone")}
    for name, clock, is_present, role in (
        ("Caio", "5", True, "admin"),
        ("Ana", "6", True, "member"),
        ("left", "6", False, "member"),
        ("gone", "4", True, "member"),
    ):
        member = Participant(contact=members[name], clock=clock, is_present=is_present, role=role)
        group.participants.add(member, bulk=False)
    ana, caio = members["Ana"], members["Caio"]
    data = get(f"conversations/{group.pk}/")
    assert (data["kind"], data["contact_id"]) == ("group", None)
    assert data["participants"] == [
        {"contact_id": ana.pk, "jid": ana.jid, "phone": ana.phone, "name": "Ana", "role": "member"},
        {"contact_id": caio.pk, "jid": caio.jid, "phone": caio.phone, "name": "Caio", "role": "admin"},
    ]
    assert "participants" not in get("conversations/")["results"][0]


def test_a_message_has_these_fields(get: ApiCall) -> None:
    chat = a_chat(an_instance())
    message = a_message(
        chat,
        key_id="3EB0",
        sender=chat.contact,
        sender_name="Ana",
        timestamp=NOON,
        status=Message.Status.DELIVERED,
        source="ios",
        text="olá",
    )
    expected = {
        "id": message.pk,
        "instance_id": chat.instance_id,
        "conversation_id": chat.pk,
        "key_id": "3EB0",
        "from_me": False,
        "sender_id": chat.contact_id,
        "sender_name": "Ana",
        "timestamp": NOON_TEXT,
        "status": "delivered",
        "kind": "text",
        "text": "olá",
        "media": None,
        "details": {},
        "quoted": None,
        "edited_at": None,
        "original_text": "",
        "is_deleted": False,
        "reactions": [],
        "reaction_count": 0,
        "poll_results": None,
        "source": "ios",
    }
    assert get(f"messages/{message.pk}/") == expected
    assert get("messages/")["results"] == [expected]
    assert get(f"conversations/{chat.pk}/messages/")["results"] == [expected]


def test_a_message_with_media_quote_edit_reactions_and_votes(get: ApiCall) -> None:
    message = a_message(
        a_chat(an_instance()),
        kind="image",
        media={"mimetype": "image/jpeg", "size": 9},
        details={"is_forwarded": True},
        quoted_key_id="3EB1",
        quoted_sender="5511@s.whatsapp.net",
        quoted_text="[image]",
        original_text="ola",
        edited_at=NOON,
        is_deleted=True,
        reactions={
            "12": {"emoji": "👍", "who": "5512@s.whatsapp.net", "at": NOON_MS + 5000},
            "me": {"emoji": "❤️", "who": "me", "at": NOON_MS},
            "13": {"emoji": "", "who": "5513@s.whatsapp.net", "at": NOON_MS},
        },
        poll_results={"11": {"options": ["sim"], "who": "5511@s.whatsapp.net", "at": NOON_MS}},
    )
    data = get(f"messages/{message.pk}/")
    assert data["media"] == {"mimetype": "image/jpeg", "size": 9, "file_url": None, "thumbnail_url": None}
    assert data["details"] == {"is_forwarded": True}
    assert data["quoted"] == {"key_id": "3EB1", "sender": "5511@s.whatsapp.net", "text": "[image]"}
    assert (data["original_text"], data["edited_at"], data["is_deleted"]) == ("ola", NOON_TEXT, True)
    assert data["reaction_count"] == 2
    assert data["reactions"] == [
        {"who": "me", "contact_id": None, "emoji": "❤️", "at": NOON_TEXT},
        {"who": "5512@s.whatsapp.net", "contact_id": 12, "emoji": "👍", "at": "2026-03-01T12:00:05Z"},
    ]
    option = {"name": "sim", "voters": ["5511@s.whatsapp.net"], "voter_count": 1}
    assert data["poll_results"] == {"at": NOON_TEXT, "options": [option], "option_count": 1}


@pytest.mark.parametrize("status", list(Message.Status))
def test_the_status_is_a_word(get: ApiCall, status: Message.Status) -> None:
    message = a_message(a_chat(an_instance()), status=status)
    words = ["pending", "sent", "failed", "delivered", "read", "played"]
    assert get(f"messages/{message.pk}/")["status"] == words[status]


def test_a_row_inside_many_rows_is_serialized_once() -> None:
    instance = an_instance()
    rows = [a_chat(instance) for _ in range(3)]
    ConversationSerializer.load_related(rows, ("instance",))
    data = ConversationSerializer(rows, many=True, context={"expand": ("instance",), "fields": ()}).data
    assert {id(row["instance"]) for row in data} == {id(data[0]["instance"])}
    assert data[0]["instance"]["id"] == instance.pk
