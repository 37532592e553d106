"""Builds webhook events of a Baileys number that belong to no dialogue, such as labels, presences and group changes."""

from collections.abc import Iterator

from conversations.demo.addressing import ChatAddressing
from conversations.demo.chat_plan import Chat
from conversations.demo.demo_clock import HOUR, MINUTE, SECOND
from conversations.demo.demo_instances import SUPPORT_RJ, DemoInstance
from conversations.demo.events import Event, Json, TimedEvent
from conversations.demo.rng import hexadecimal, index_bytes, rng_for

_LABELED_CHATS = 12
_DELETED_LABEL = {"id": "5", "name": "Campanha antiga", "color": 9, "predefinedId": 0}
_STATUSES = ("Promoção só hoje! ☕", "Estamos abertos no feriado")


def events(seed: int, instance: DemoInstance, chats: list[Chat]) -> list[Event]:
    """Return the instance's events that belong to no dialogue and happen after the number was connected."""
    rng = rng_for(seed, instance.name, "surroundings")
    direct = [chat for chat in chats if not chat.group_jid]
    live = [chat for chat in direct if chat.live]
    quiet = [chat for chat in direct if not chat.live]
    timed = [
        *_labels(instance, live),
        *(item for chat in chats if chat.group_jid for item in _membership_changes(chat)),
        *_presences(live),
        *_statuses(instance, live, hexadecimal(rng, 30)),
        *_deletion(instance, quiet),
        *_renaming(instance, quiet),
    ]
    if instance.name == SUPPORT_RJ.name:  # of the demo's servers, only the one of `SUPPORT_RJ` runs Evolution 2.4
        counts = {"messageCount": sum(len(chat.history) for chat in chats), "chatCount": len(chats)}
        counts |= {"contactCount": len(direct), "progress": 100}
        timed.append((instance.connected_at + 5 * MINUTE, "messaging-history.set", counts))
    return [Event(at + rng.randrange(SECOND), instance, name, data) for at, name, data in timed]


def _labels(instance: DemoInstance, live: list[Chat]) -> Iterator[TimedEvent]:
    """Yield events that add labels to chats, remove some labels, and delete a label; the deletion is sent twice."""
    for number, chat in enumerate(live[:_LABELED_CHATS]):
        label = {
            "instance": instance.name,
            "chatId": ChatAddressing(chat).jid(chat.live[-1]),
            "labelId": str(1 + number % 3),
        }
        at = chat.live[0].at + 3 * MINUTE
        yield at, "labels.association", {**label, "type": "add"}
        if number % 4 == 1:
            yield at + HOUR, "labels.association", {**label, "type": "remove"}
    for at, deleted in ((20, False), (90, True), (90, True)):
        label_event = {**_DELETED_LABEL, "deleted": deleted, "instance": instance.name}
        yield instance.connected_at + at * MINUTE, "labels.edit", label_event


def _membership_changes(chat: Chat) -> Iterator[TimedEvent]:
    """Yield events of a group: a member becomes an admin; another member is removed and added again."""
    owner, promoted, leaver = chat.people[0], chat.people[1], chat.people[-1]
    for minutes, person, action, admin in (
        (40, promoted, "promote", "admin"),
        (70, leaver, "remove", None),
        (85, leaver, "add", None),
    ):
        member = {"id": person.lid_jid, "phoneNumber": person.jid, "admin": admin}
        yield (
            chat.instance.connected_at + minutes * MINUTE,
            "group-participants.update",
            {
                "id": chat.group_jid,
                "author": owner.lid_jid,
                "authorPn": owner.jid,
                "participants": [member],
                "action": action,
                "participantsData": [{"jid": member, "phoneNumber": "[object Object]"}],
            },
        )


def _presences(live: list[Chat]) -> Iterator[TimedEvent]:
    """Yield two presences per chat: the contact is online before the chat's last action and offline afterwards."""
    for chat in live:
        last = chat.live[-1]
        jid = ChatAddressing(chat).jid(last)
        seen = {"lastKnownPresence": "unavailable", "lastSeen": last.at // SECOND + 40}
        yield last.at - 20 * SECOND, "presence.update", _presence(jid, {"lastKnownPresence": "available"})
        yield last.at + 40 * SECOND, "presence.update", _presence(jid, seen)


def _presence(jid: str, state: Json) -> Json:
    return {"id": jid, "presences": {jid: state}}


def _statuses(instance: DemoInstance, live: list[Chat], ids: str) -> Iterator[TimedEvent]:
    """Yield WhatsApp status messages, which people publish to all of their contacts."""
    for number, (chat, text) in enumerate(zip(live, _STATUSES, strict=False)):
        at = instance.connected_at + (2 + number) * HOUR
        key = {
            "remoteJid": "status@broadcast",
            "remoteJidAlt": chat.person.lid_jid,
            "fromMe": False,
            "id": f"AC{number}{ids[1:]}",
            "participant": chat.person.jid,
            "addressingMode": "pn",
        }
        yield (
            at,
            "messages.upsert",
            {
                "key": key,
                "pushName": chat.person.push_name,
                "status": "DELIVERY_ACK",
                "message": {
                    "conversation": text,
                    "messageContextInfo": {"messageSecret": index_bytes(rng_for(ids), 4)},
                },
                "messageType": "conversation",
                "messageTimestamp": at // SECOND,
                "instanceId": instance.instance_id,
                "source": chat.person.source,
            },
        )


def _deletion(instance: DemoInstance, quiet: list[Chat]) -> Iterator[TimedEvent]:
    """Yield the event that a chat was deleted on the phone; the chat with the oldest last message is chosen."""
    for chat in sorted(quiet, key=lambda chat: chat.history[-1].at)[:1]:
        yield instance.end - 2 * HOUR, "chats.delete", [ChatAddressing(chat).initial_jid()]


def _renaming(instance: DemoInstance, quiet: list[Chat]) -> Iterator[TimedEvent]:
    """Yield the event that a contact got a new name in the phone's address book."""
    for chat in quiet[:1]:
        name = f"{chat.person.name} (antigo)" if chat.person.is_saved else chat.person.name
        item = {"remoteJid": ChatAddressing(chat).initial_jid(), "pushName": name, "instanceId": instance.instance_id}
        yield instance.end - 3 * HOUR, "contacts.update", [{**item, "profilePicUrl": chat.person.picture}]
