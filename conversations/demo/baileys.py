"""Builds the webhooks that a Baileys chat causes after the number was connected to Evolution.

One text message causes four to seven webhooks.
"""

from collections.abc import Callable, Iterator
from typing import Any

from conversations.demo import demo_clock
from conversations.demo.addressing import ChatAddressing
from conversations.demo.baileys_messages import content, poll_options, reaction, record, record_around, vote
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Event, Json
from conversations.demo.rng import cuid, hexadecimal

# Fraction of inbound messages that follow a presence event. Every voice message follows a presence event.
_TYPING_SHARE = 0.25
_ACKNOWLEDGEMENTS = (  # (status of the message, milliseconds after the message was sent)
    ("SERVER_ACK", 700),
    ("DELIVERY_ACK", 2_500),
    ("READ", 20_000),
    ("PLAYED", 60_000),
)
_CALLS = {  # outcome of a call: the call's events as (status, seconds after the call began)
    "timeout": (("offer", 0), ("ringing", 1), ("timeout", 45)),
    "reject": (("offer", 0), ("reject", 6)),
    "accept": (("offer", 0), ("accept", 5), ("terminate", 90)),
}


class LiveChat:
    """Builds the webhooks that one chat causes after the number was connected, in the order in which Evolution does."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._rng = chat.rng_for("live")
        self._addressing = ChatAddressing(chat)
        self._unread = 0
        self._is_known_chat = bool(chat.history)
        self._votes: dict[ChatAction, dict[str, list[str]]] = {}
        self._builders: dict[str, Callable[[ChatAction], Iterator[Event]]] = {
            "react": self._reaction,
            "unreact": self._reaction,
            "vote": self._vote,
            "edit": self._edit,
            "delete": self._delete,
            "call": self._call,
        }

    def events(self) -> Iterator[Event]:
        """Yield the webhooks of the chat's live actions, that is, actions after the number was connected."""
        for action in self._chat.live:
            yield from self._builders.get(action.kind, self._message)(action)

    def _event(self, action: ChatAction, after: int, name: str, data: Any) -> Event:
        return Event(action.at + after + self._rng.randrange(250), self._chat.instance, name, data)

    # --- messages -----------------------------------------------------------------------------------------------------

    def _message(self, action: ChatAction) -> Iterator[Event]:
        if action.author:
            yield from self._inbound(action)
            return
        yield from self._read_on_other_device(action)
        yield from self._from_phone(action) if action.is_from_phone else self._from_api(action)

    def _inbound(self, action: ChatAction) -> Iterator[Event]:
        self._unread += 1
        if action.kind == "voice" or self._rng.random() < _TYPING_SHARE:
            yield self._presence(action, -3 * SECOND, "recording" if action.kind == "voice" else "composing")
        yield self._upsert(action, "DELIVERY_ACK")
        if not self._is_known_chat:
            yield self._event(action, 330, "contacts.upsert", self._contact(action))
            yield self._event(action, 380, "chats.upsert", [self._chat_item(action, unreadMessages=self._unread)])
        elif action is self._chat.live[0]:
            yield self._event(action, 380, "chats.upsert", [])
        yield from self._contact_and_chat_updates(action)
        self._is_known_chat = True

    def _from_phone(self, action: ChatAction) -> Iterator[Event]:
        """Yield the webhooks of an answer that the instance's owner writes on the phone."""
        yield self._upsert(action, "SERVER_ACK")
        yield from self._contact_and_chat_updates(action)
        yield from self._acknowledgements(action, first=1)

    def _from_api(self, action: ChatAction) -> Iterator[Event]:
        key = self._addressing.plain_key(action)
        data = record(self._addressing, action, self._rng, key=key, status="PENDING")
        yield self._event(action, 300, "send.message", data)
        yield from self._acknowledgements(action)

    def _upsert(self, action: ChatAction, status: str) -> Event:
        key = self._addressing.key(action)
        data = record(self._addressing, action, self._rng, key=key, status=status)
        return self._event(action, 300, "messages.upsert", data)

    def _contact_and_chat_updates(self, action: ChatAction) -> Iterator[Event]:
        """Yield the three webhooks that follow a message: two about the contact, one about the chat."""
        item = self._chat_item(action)
        yield self._event(action, 310, "contacts.update", [{**item, "profilePicUrl": self._picture(action)}])
        yield self._event(action, 340, "contacts.update", self._contact(action))
        yield self._event(action, 370, "chats.update", [item])

    def _contact(self, action: ChatAction) -> Json:
        """Return the contact as the object that `contacts.upsert` and `contacts.update` contain.

        In a group, the object has the group's address and the author's name. The name is empty for an outbound message.
        """
        is_phone_twice = self._addressing.mode == "phone_twice"
        return {
            "remoteJid": self._chat.person.jid if is_phone_twice else self._addressing.jid(action),
            "pushName": action.author.push_name if action.author else "",
            "profilePicUrl": self._picture(action),
            "instanceId": self._chat.instance.instance_id,
        }

    def _chat_item(self, action: ChatAction, **more: Any) -> Json:
        return {"remoteJid": self._addressing.update_jid(action), "instanceId": self._chat.instance.instance_id, **more}

    def _picture(self, action: ChatAction) -> str | None:
        return None if self._chat.group_jid or not action.author else action.author.picture

    # --- acknowledgements ---------------------------------------------------------------------------------------------

    def _acknowledgements(self, action: ChatAction, first: int = 0) -> Iterator[Event]:
        """Yield the acknowledgements of an outbound message, such as delivered and read; group messages have none."""
        if self._chat.group_jid:
            return
        if action.kind == "fails":
            yield self._update(action, 900, "ERROR")
            return
        for status, after in _ACKNOWLEDGEMENTS[first : self._acknowledgement_count(action)]:
            yield self._update(action, after, status)
            yield self._event(action, after + 250, "chats.upsert", [self._chat_item(action, unreadMessages=0)])

    def _acknowledgement_count(self, action: ChatAction) -> int:
        """Return how many acknowledgements an outbound message gets: all of them if the customer answers later."""
        if self._chat.is_answered(action):
            return 4 if action.kind == "voice" else 3
        return self._rng.choices((1, 2, 3), (1, 4, 10))[0]

    def _update(self, action: ChatAction, after: int, status: str) -> Event:
        data = {
            "keyId": action.key_id,
            "remoteJid": self._addressing.update_jid(action),
            "fromMe": action.author is None,
            "status": status,
            "instanceId": self._chat.instance.instance_id,
            "messageId": cuid(self._rng),
        }
        return self._event(action, after, "messages.update", data)

    def _read_on_other_device(self, answer: ChatAction) -> Iterator[Event]:
        """Yield a READ update for each unread inbound message, because the owner reads messages before answering."""
        inbound = [each for each in self._chat.live if each.author and each.is_message and each.at < answer.at]
        for action in inbound[-self._unread :] if self._unread and not self._chat.group_jid else ():
            yield self._update(action, answer.at - action.at - 2 * SECOND, "READ")
        self._unread = 0

    # --- actions on messages ------------------------------------------------------------------------------------------

    def _non_message(self, action: ChatAction, kind: str, body: Json, **more: Any) -> Event:
        """Return the webhook of a reaction or vote; the instance's own reactions and votes are sent through the API."""
        key = self._addressing.key(action) if action.author else self._addressing.plain_key(action)
        status = "DELIVERY_ACK" if action.author else "PENDING"
        data = record_around(self._chat, action, key=key, message={kind: body}, status=status) | more
        return self._event(action, 300, "messages.upsert" if action.author else "send.message", data)

    def _reaction(self, action: ChatAction) -> Iterator[Event]:
        if action.target:
            body = reaction(action, self._addressing.plain_key(action.target))
            yield self._non_message(action, "reactionMessage", body)

    def _vote(self, action: ChatAction) -> Iterator[Event]:
        """Yield a vote and all votes in the poll so far; a person's second vote replaces the first."""
        if not action.target or not action.author:
            return
        count = self._votes.setdefault(action.target, {name: [] for name in poll_options(action.target)})
        voter = action.author.lid_jid if self._chat.group_jid else action.author.jid
        for name, voters in count.items():
            count[name] = [other for other in voters if other != voter] + ([voter] if name == action.argument else [])
        updates = [{"name": name, "voters": list(voters)} for name, voters in count.items()]
        body = vote(action, self._addressing.plain_key(action.target), self._rng)
        yield self._non_message(action, "pollUpdateMessage", body, pollUpdates=updates)

    def _edit(self, action: ChatAction) -> Iterator[Event]:
        if not action.target:
            return
        protocol: Json = {"type": "MESSAGE_EDIT", "timestampMs": str(action.at)}
        if action.author is None:
            edited: Json = {"extendedTextMessage": {"text": action.text}}
            key = self._addressing.plain_key(action.target)
            yield self._event(action, 300, "send.message.update", {"key": key, **protocol, "editedMessage": edited})
            yield self._update(action.target, action.at - action.target.at + 900, "SERVER_ACK")
        else:
            edited = {"conversation": action.text}
            key = self._authors_key(action.target)
            yield self._event(action, 300, "messages.edited", {"key": key, **protocol, "editedMessage": edited})

    def _delete(self, action: ChatAction) -> Iterator[Event]:
        if not action.target:
            return
        if action.author is None:
            yield self._event(action, 300, "messages.delete", self._deletion_by_api(action.target))
        else:
            revoke = {"key": self._authors_key(action.target), "type": "REVOKE"}
            yield self._event(action, 300, "messages.edited", revoke)
            data = {**self._addressing.key(action.target), "status": "DELETED"}
            yield self._event(action, 600, "messages.delete", data)

    def _authors_key(self, message: ChatAction) -> Json:
        """Return a message's key as its author's phone has it: `fromMe` is true, and the chat is with the instance."""
        jid = self._chat.group_jid or self._chat.instance.owner_jid
        return {"remoteJid": jid, "fromMe": True, "id": message.key_id}

    def _deletion_by_api(self, message: ChatAction) -> Json:
        key = {**self._addressing.plain_key(message), "deleted": True}
        kind, body = content(message, self._rng)
        data = record_around(self._chat, message, key=key, message={kind: body}, status="DELETED")
        return {"id": cuid(self._rng), **data, "participant": None}

    # --- presence and calls -------------------------------------------------------------------------------------------

    def _presence(self, action: ChatAction, after: int, state: str) -> Event:
        jid = self._addressing.author(action)
        presence = {"id": self._addressing.jid(action), "presences": {jid: {"lastKnownPresence": state}}}
        return self._event(action, after, "presence.update", presence)

    def _call(self, action: ChatAction) -> Iterator[Event]:
        medium, outcome = action.argument.split()
        call_id = hexadecimal(self._rng, 32)
        for status, seconds in _CALLS[outcome]:
            data = {
                "chatId": self._addressing.jid(action),
                "from": self._addressing.author(action),
                "id": call_id,
                "date": demo_clock.utc_text(action.at),
                "offline": False,
                "status": status,
                "isVideo": medium == "video",
                "isGroup": False,
            }
            yield self._event(action, seconds * SECOND, "call", data)
