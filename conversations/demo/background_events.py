"""What goes on round the chats of a paired number: labels, groups changing, statuses, presences, a chat deleted."""

from collections.abc import Iterator
from typing import Any

from conversations.demo import demo_instances
from conversations.demo.addressing import ChatAddressing
from conversations.demo.chat_plan import Chat
from conversations.demo.demo_clock import END, HOUR, MINUTE, SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.rng import hexadecimal, index_bytes, rng_for

_LABELLED = 12  # chats
_RETIRED_LABEL = {"id": "5", "name": "Campanha antiga", "color": 9, "predefinedId": 0}
_STATUSES = ("Promoção só hoje! ☕", "Estamos abertos no feriado")

TimedEvent = tuple[int, str, Any]  # when, event, data


def events(seed: int, channel: DemoInstance, chats: list[Chat]) -> list[Event]:
    """Return what happens round the instance's chats after the number was connected."""
    chance = rng_for(seed, channel.name, "surroundings")
    direct = [chat for chat in chats if not chat.group_jid]
    live = [chat for chat in direct if chat.live]
    quiet = [chat for chat in direct if not chat.live]
    happenings = [
        *_labels(channel, live),
        *(item for chat in chats if chat.group_jid for item in _membership(chat)),
        *_presences(live),
        *_statuses(channel, live, hexadecimal(chance, 30)),
        *_deletion(quiet),
        *_renaming(channel, quiet),
    ]
    if channel is demo_instances.SUPORTE:  # whose server runs 2.4 already
        counts = {"messageCount": sum(len(chat.past) for chat in chats), "chatCount": len(chats)}
        counts |= {"contactCount": len(direct), "progress": 100}
        happenings.append((channel.connected_at + 5 * MINUTE, "messaging-history.set", counts))
    return [Event(at + chance.randrange(SECOND), channel, name, data) for at, name, data in happenings]


def _labels(channel: DemoInstance, live: list[Chat]) -> Iterator[TimedEvent]:
    """Yield labels given to chats and taken away, and one label deleted: that is told twice."""
    for number, chat in enumerate(live[:_LABELLED]):
        label = {
            "instance": channel.name,
            "chatId": ChatAddressing(chat).jid(chat.live[-1]),
            "labelId": str(1 + number % 3),
        }
        at = chat.live[0].at + 3 * MINUTE
        yield at, "labels.association", {**label, "type": "add"}
        if number % 4 == 1:
            yield at + HOUR, "labels.association", {**label, "type": "remove"}
    for at, deleted in ((20, False), (90, True), (90, True)):
        retired = {**_RETIRED_LABEL, "deleted": deleted, "instance": channel.name}
        yield channel.connected_at + at * MINUTE, "labels.edit", retired


def _membership(chat: Chat) -> Iterator[TimedEvent]:
    """Yield a member promoted, and one who leaves and is taken in again."""
    owner, promoted, leaver = chat.people[0], chat.people[1], chat.people[-1]
    for minutes, person, action, admin in (
        (40, promoted, "promote", "admin"),
        (70, leaver, "remove", None),
        (85, leaver, "add", None),
    ):
        member = {"id": person.lid_jid, "phoneNumber": person.jid, "admin": admin}
        yield (
            chat.channel.connected_at + minutes * MINUTE,
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
    """Yield the end of each visit: somebody goes offline after the last thing they said."""
    for chat in live:
        last = chat.live[-1]
        jid = ChatAddressing(chat).jid(last)
        seen = {"lastKnownPresence": "unavailable", "lastSeen": last.at // SECOND + 40}
        yield last.at - 20 * SECOND, "presence.update", _presence(jid, {"lastKnownPresence": "available"})
        yield last.at + 40 * SECOND, "presence.update", _presence(jid, seen)


def _presence(jid: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"id": jid, "presences": {jid: state}}


def _statuses(channel: DemoInstance, live: list[Chat], ids: str) -> Iterator[TimedEvent]:
    """Yield what contacts published to all of theirs."""
    for number, (chat, text) in enumerate(zip(live, _STATUSES, strict=False)):
        at = channel.connected_at + (2 + number) * HOUR
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
                "instanceId": channel.instance_id,
                "source": chat.person.source,
            },
        )


def _deletion(quiet: list[Chat]) -> Iterator[TimedEvent]:
    """Yield a chat deleted on the phone: the one that fell silent first."""
    for chat in sorted(quiet, key=lambda chat: chat.past[-1].at)[:1]:
        yield END - 2 * HOUR, "chats.delete", [ChatAddressing(chat).first_jid()]


def _renaming(channel: DemoInstance, quiet: list[Chat]) -> Iterator[TimedEvent]:
    """Yield a contact given another name in the phone's address book."""
    for chat in quiet[:1]:
        name = f"{chat.person.name} (antigo)" if chat.person.is_saved else chat.person.name
        item = {"remoteJid": ChatAddressing(chat).first_jid(), "pushName": name, "instanceId": channel.instance_id}
        yield END - 3 * HOUR, "contacts.update", [{**item, "profilePicUrl": chat.person.picture}]
