"""Builds the events that follow the connection of a number: its contacts, its chats, and past messages in batches."""

from collections.abc import Iterator
from typing import Any

from conversations.demo.addressing import ChatAddressing
from conversations.demo.baileys_messages import record
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.chats import GROUP_MEMBERS
from conversations.demo.demo_clock import SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event, Json
from conversations.demo.rng import Random, cuid, rng_for

MESSAGES_PER_BODY = 150
_ITEMS_PER_BODY = 100  # maximum number of contacts or chats in one request body
_UNREAD_SHARE = 0.06  # fraction of the chats whose past messages end with unread messages
_UPSERTED_CHATS = 5
_LABELS = (
    ("1", "Novo cliente", 0),
    ("2", "Aguardando pagamento", 2),
    ("3", "Pedido enviado", 5),
    ("4", "Pós-venda", 7),
)


def events(seed: int, instance: DemoInstance, chats: list[Chat]) -> list[Event]:
    """Return the events that Evolution sends in the first minutes after a number was connected."""
    rng = rng_for(seed, instance.name, "backlog")
    direct = [chat for chat in chats if not chat.group_jid]
    pictured = [chat for chat in direct if chat.person.has_picture]
    sent: list[tuple[str, Any, Json]] = [
        *(("contacts.upsert", batch, {}) for batch in _batches([_contact(chat) for chat in direct], _ITEMS_PER_BODY)),
        *(("chats.set", batch, {}) for batch in _batches([_chat(chat) for chat in chats], _ITEMS_PER_BODY)),
        ("groups.upsert", [_group(chat) for chat in chats if chat.group_jid], {}),
        *_history(chats, rng),
        *(("contacts.update", batch, {}) for batch in _batches([_picture(chat) for chat in pictured], _ITEMS_PER_BODY)),
        ("chats.upsert", [item for chat in direct[:_UPSERTED_CHATS] for item in _chat_upserts(chat, rng)], {}),
        *(("labels.edit", label, {}) for label in _labels(instance)),
    ]
    return [
        Event(instance.connected_at + (2 + index) * SECOND + rng.randrange(500), instance, name, data, root)
        for index, (name, data, root) in enumerate(sent)
    ]


def _batches(items: list[Json], size: int) -> list[list[Json]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _contact(chat: Chat) -> Json:
    """Return a contact; if the address book does not contain the contact, the name is the number in the address."""
    jid = ChatAddressing(chat).initial_jid()
    name = chat.person.name if chat.person.is_saved else jid.partition("@")[0]
    return {"remoteJid": jid, "pushName": name, "profilePicUrl": None, "instanceId": chat.instance.instance_id}


def _picture(chat: Chat) -> Json:
    jid = ChatAddressing(chat).initial_jid()
    return {"remoteJid": jid, "profilePicUrl": chat.person.picture, "instanceId": chat.instance.instance_id}


def _chat(chat: Chat) -> Json:
    name = chat.subject or (chat.person.name if chat.person.is_saved else "")
    item = {"remoteJid": ChatAddressing(chat).initial_jid(), "instanceId": chat.instance.instance_id}
    return {**item, "name": name} if name else item


def _chat_upserts(chat: Chat, rng: Random) -> list[Json]:
    """Return a chat in both formats that `chats.upsert` uses after the connection; the second has no address."""
    jid, name = ChatAddressing(chat).initial_jid(), chat.person.name
    return [
        {"remoteJid": jid, "instanceId": chat.instance.instance_id, "name": name, "unreadMessages": 0},
        {"id": cuid(rng), "name": name},
    ]


def _group(chat: Chat) -> Json:
    """Return the metadata of a group, with the LID and the phone number of each member."""
    owner, created = chat.person, chat.instance.end // SECOND - 200 * 86400 + chat.number
    people = [(person.lid_jid, person.jid, "superadmin" if person is owner else None) for person in chat.people]
    people.append((chat.instance.owner_lid_jid, chat.instance.owner_jid, "admin"))
    return {
        "id": chat.group_jid,
        "addressingMode": "lid",
        "subject": chat.subject,
        "subjectOwner": owner.lid_jid,
        "subjectOwnerPn": owner.jid,
        "subjectTime": created,
        "size": GROUP_MEMBERS + 1,
        "creation": created,
        "owner": owner.lid_jid,
        "ownerPn": owner.jid,
        "owner_country_code": "BR",
        "restrict": False,
        "announce": False,
        "isCommunity": False,
        "isCommunityAnnounce": False,
        "joinApprovalMode": False,
        "memberAddMode": True,
        "participants": [{"id": lid, "phoneNumber": phone, "admin": admin} for lid, phone, admin in people],
        "author": owner.lid_jid,
        "authorPn": owner.jid,
    }


def _history(chats: list[Chat], rng: Random) -> Iterator[tuple[str, Any, Json]]:
    """Yield batches of past messages; the latest chat comes first, and within a chat the latest message comes first."""
    recent = sorted(chats, key=lambda chat: -chat.history[-1].at)
    batches = _batches([item for chat in recent for item in reversed(_records(chat, rng))], MESSAGES_PER_BODY)
    for number, batch in enumerate(batches, 1):
        is_last = number == len(batches)
        progress = None if number == 1 and not is_last else 100 * number // len(batches)
        yield "messages.set", batch, {"isLatest": is_last, "progress": progress}


def _records(chat: Chat, rng: Random) -> list[Json]:
    """Return a chat's past messages: edits are applied, deleted messages are missing, and there are no reactions."""
    addressing = ChatAddressing(chat)
    deleted = [action.target for action in chat.history if action.kind == "delete"]
    edited = {action.target: action.text for action in chat.history if action.kind == "edit"}
    messages = [action for action in chat.history if action.is_message and action not in deleted]
    unread = _unread(messages) if chat.live_index is None and rng.random() < _UNREAD_SHARE else []
    records = []
    for message in messages:
        status = "DELIVERY_ACK" if message in unread else "ERROR" if message.kind == "fails" else "READ"
        item = record(addressing, message, rng, key=addressing.plain_key(message), status=status)
        if message in edited:
            item["message"] = {"conversation": edited[message]}
        records.append(item)
    return records


def _unread(messages: list[ChatAction]) -> list[ChatAction]:
    """Return the inbound messages after the last outbound message."""
    outbound = [index for index, message in enumerate(messages) if message.author is None]
    return messages[outbound[-1] + 1 :] if outbound else messages


def _labels(instance: DemoInstance) -> list[Json]:
    return [
        {"id": label_id, "name": name, "color": color, "deleted": False, "instance": instance.name}
        for label_id, name, color in _LABELS
    ]
