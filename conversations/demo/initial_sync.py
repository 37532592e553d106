"""What a newly connected number brings along: its contacts, its chats, and its history in large batches."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from conversations.demo import demo_clock
from conversations.demo.addressing import ChatAddressing, Json, record
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.conversations import MEMBERS
from conversations.demo.demo_clock import SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.rng import Random, cuid, rng_for

BATCH = 150  # records in a body
_LIST = 100  # contacts or chats in a body
_UNREAD_SHARE = 0.06  # of the chats end with something nobody has read
_LABELS = (
    ("1", "Novo cliente", 0),
    ("2", "Aguardando pagamento", 2),
    ("3", "Pedido enviado", 5),
    ("4", "Pós-venda", 7),
)


def events(seed: int, channel: DemoInstance, chats: list[Chat]) -> list[Event]:
    """Return the webhooks of the first minutes after the number was connected."""
    chance = rng_for(seed, channel.name, "backlog")
    names = {chat.number: ChatAddressing(chat) for chat in chats}
    written: list[tuple[str, Any, Json]] = [
        *(("contacts.upsert", batch, {}) for batch in _batches(_contacts(channel, chats, names), _LIST)),
        *(("chats.set", batch, {}) for batch in _batches(_chats(channel, chats, names), _LIST)),
        ("groups.upsert", [_group(chat) for chat in chats if chat.group_jid], {}),
        *_history(chats, names, chance),
        *(("contacts.update", batch, {}) for batch in _batches(_pictures(channel, chats, names), _LIST)),
        ("chats.upsert", _odd_items(channel, chats, names, chance), {}),
        *(("labels.edit", label, {}) for label in _labels(channel)),
    ]
    return [
        Event(channel.connected_at + (2 + index) * SECOND + chance.randrange(500), channel, name, data, root)
        for index, (name, data, root) in enumerate(written)
    ]


def _batches(items: list[Json], size: int) -> Iterator[list[Json]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _contacts(channel: DemoInstance, chats: list[Chat], names: dict[int, ChatAddressing]) -> list[Json]:
    """Return the address book; who is not in it is named by the digits of their address."""
    items = []
    for chat in _direct(chats):
        jid = names[chat.number].first_jid()
        name = chat.person.name if chat.person.is_saved else jid.partition("@")[0]
        items.append({"remoteJid": jid, "pushName": name, "profilePicUrl": None, "instanceId": channel.instance_id})
    return items


def _pictures(channel: DemoInstance, chats: list[Chat], names: dict[int, ChatAddressing]) -> list[Json]:
    return [
        {
            "remoteJid": names[chat.number].first_jid(),
            "profilePicUrl": chat.person.picture,
            "instanceId": channel.instance_id,
        }
        for chat in _direct(chats)
        if chat.person.has_picture
    ]


def _chats(channel: DemoInstance, chats: list[Chat], names: dict[int, ChatAddressing]) -> list[Json]:
    items: list[Json] = []
    for chat in chats:
        name = chat.subject or (chat.person.name if chat.person.is_saved else "")
        item = {"remoteJid": names[chat.number].first_jid(), "instanceId": channel.instance_id}
        items.append({**item, "name": name} if name else item)
    return items


def _odd_items(
    channel: DemoInstance, chats: list[Chat], names: dict[int, ChatAddressing], chance: Random
) -> list[Json]:
    """Return the two shapes of `chats.upsert` that the history brings; one of them does not say which chat it means."""
    items: list[Json] = []
    for chat in islice(_direct(chats), 5):
        jid = names[chat.number].first_jid()
        items += [
            {"remoteJid": jid, "instanceId": channel.instance_id, "name": chat.person.name, "unreadMessages": 0},
            {"id": cuid(chance), "name": chat.person.name},
        ]
    return items


def _direct(chats: list[Chat]) -> Iterator[Chat]:
    return (chat for chat in chats if not chat.group_jid)


def _group(chat: Chat) -> Json:
    """Return a group's metadata: members by LID, with their phone numbers beside it."""
    owner, created = chat.person, demo_clock.END // SECOND - 200 * 86400 + chat.number
    people = [(person.lid_jid, person.jid, "superadmin" if person is owner else None) for person in chat.people]
    people.append((chat.channel.owner_lid_jid, chat.channel.owner_jid, "admin"))
    participants = [{"id": lid, "phoneNumber": phone, "admin": admin} for lid, phone, admin in people]
    return {
        "id": chat.group_jid,
        "addressingMode": "lid",
        "subject": chat.subject,
        "subjectOwner": owner.lid_jid,
        "subjectOwnerPn": owner.jid,
        "subjectTime": created,
        "size": MEMBERS + 1,
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
        "participants": participants,
        "author": owner.lid_jid,
        "authorPn": owner.jid,
    }


def _history(chats: list[Chat], names: dict[int, ChatAddressing], chance: Random) -> Iterator[tuple[str, Any, Json]]:
    """Yield the batches: the chats that spoke last come first, and of each chat the latest messages."""
    recent = sorted(chats, key=lambda chat: -chat.past[-1].at)
    records = [item for chat in recent for item in reversed(_records(chat, names[chat.number], chance))]
    batches = list(_batches(records, BATCH))
    for number, batch in enumerate(batches, 1):
        is_last = number == len(batches)
        progress = None if number == 1 and not is_last else 100 * number // len(batches)
        yield "messages.set", batch, {"isLatest": is_last, "progress": progress}


def _records(chat: Chat, names: ChatAddressing, chance: Random) -> list[Json]:
    """Return a chat's past: edits are done, what was deleted is gone, and nobody tells of reactions."""
    deleted = [turn.about for turn in chat.past if turn.kind == "delete"]
    edited = {turn.about: turn.text for turn in chat.past if turn.kind == "edit"}
    bubbles = [turn for turn in chat.past if turn.is_bubble and turn not in deleted]
    unread = _unread(bubbles) if chat.live_number is None and chance.random() < _UNREAD_SHARE else []
    records = []
    for turn in bubbles:
        status = "DELIVERY_ACK" if turn in unread else "ERROR" if turn.kind == "fails" else "READ"
        item = record(names, turn, chance, key=names.plain_key(turn), status=status)
        if turn in edited:
            item["message"] = {"conversation": edited[turn]}
        records.append(item)
    return records


def _unread(bubbles: list[ChatAction]) -> list[ChatAction]:
    ours = [index for index, turn in enumerate(bubbles) if turn.who is None]
    return bubbles[ours[-1] + 1 :] if ours else bubbles


def _labels(channel: DemoInstance) -> list[Json]:
    return [
        {"id": label_id, "name": name, "color": color, "deleted": False, "instance": channel.name}
        for label_id, name, color in _LABELS
    ]
