"""Computes the expected final state from the delivered events: a small model that shares no code with ingestion.

The oracle first collects the facts of all events and then evaluates them, so the order of the events cannot matter. The
oracle applies the rules of the ingestion contract. Of all copies of a chat message, the earliest timestamp and the
highest status win; the latest edit, reaction and vote win as well. A deleted chat message stays deleted. The last
message of a conversation is the greatest by (timestamp, message id). Messages after the latest read message are unread.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from conversations.demo import demo_clock
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Event
from tests.load.scenario import file_digest

_STATUSES = {"PENDING": 0, "SERVER_ACK": 1, "ERROR": 2, "DELIVERY_ACK": 3, "READ": 4, "PLAYED": 5}
_READ = _STATUSES["READ"]
_TEXT_FIELDS = {
    "imageMessage": "caption",
    "videoMessage": "caption",
    "ptvMessage": "caption",
    "documentMessage": "caption",
    "contactMessage": "displayName",
    "locationMessage": "name",
    "pollCreationMessageV3": "name",
    "buttonsResponseMessage": "selectedDisplayText",
}
Timed = tuple[int, Any]  # (time in ms, value that an event states for this time)


@dataclass
class ExpectedMessage:
    """One chat message as the site must store it; `chat` is a phone number or the JID of a group.

    `sent_order` orders the messages of one second: the earliest time in ms at which an event of the message was sent.
    """

    chat: str
    key_id: str
    from_me: bool
    timestamp: int  # seconds
    text: str
    sent_order: int
    is_call: bool = False
    from_device: bool = False
    status: int = 0
    is_deleted: bool = False
    reactions: list[str] = field(default_factory=list)
    votes: list[list[str]] = field(default_factory=list)
    file: str = ""

    @property
    def at(self) -> dt.datetime:
        """The timestamp of the chat message as a datetime."""
        return demo_clock.utc(self.timestamp * SECOND)

    @property
    def position(self) -> tuple[dt.datetime, int]:
        """The place of the chat message in its conversation."""
        return self.at, self.sent_order

    @property
    def sort_key(self) -> tuple[dt.datetime, int, str, bool]:
        """The key by which the chat messages of a conversation are sorted."""
        return *self.position, self.key_id, self.from_me


@dataclass
class ExpectedConversation:
    """One conversation as the site must store it, with its chat messages from the latest to the earliest."""

    messages: list[ExpectedMessage]

    @property
    def last(self) -> ExpectedMessage:
        """The latest chat message of the conversation."""
        return self.messages[0]

    @property
    def unread(self) -> int:
        """The number of unread chat messages in the conversation.

        All chat messages before a read message are read, and so are those before a message sent from the phone.
        """
        read = [message.position for message in self.messages if not message.from_me and message.status >= _READ]
        read += [(message.at, message.sent_order - 1) for message in self.messages if message.from_device]
        read_until = max(read, default=(demo_clock.utc(0), 0))
        inbound = (message for message in self.messages if not message.from_me and not message.is_call)
        return sum(message.position > read_until for message in inbound)


@dataclass
class _Updates:
    """The updates of one chat message; an update may arrive before the message, and the message may never arrive."""

    statuses: list[int] = field(default_factory=list)
    edits: list[Timed] = field(default_factory=list)
    reactions: dict[str, list[Timed]] = field(default_factory=lambda: defaultdict(list))
    votes: dict[str, list[Timed]] = field(default_factory=lambda: defaultdict(list))
    is_deleted: bool = False


class Oracle:
    """Computes the expected state of one instance (one WhatsApp number) from its delivered events.

    Args:
        owners: the phone number of each JID, or the JID itself for a group; see `scenario.address_owners`.
    """

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = owners
        self._messages: dict[str, ExpectedMessage] = {}
        self._updates: dict[str, _Updates] = defaultdict(_Updates)
        self._states: list[Timed] = []
        self._presences: dict[str, list[Timed]] = defaultdict(list)
        self._handlers: dict[str, Callable[[Event], None]] = {
            "messages.upsert": self._add_record,
            "send.message": self._add_record,
            "messages.update": self._add_status,
            "messages.edited": self._add_edit,
            "send.message.update": self._add_edit,
            "messages.delete": self._add_deletion,
            "call": self._add_call,
            "connection.update": self._add_state,
            "presence.update": self._add_presence,
        }

    def add_events(self, events: Iterable[Event]) -> None:
        """Add delivered events, in any order; ignore events that change no value that the load test verifies."""
        for event in events:
            if event.name in self._handlers:
                self._handlers[event.name](event)

    @cached_property
    def conversations(self) -> dict[str, ExpectedConversation]:
        """The expected conversations by phone number or group JID. Add all events before you read this property."""
        chats: dict[str, list[ExpectedMessage]] = defaultdict(list)
        for message in self._messages.values():
            chats[message.chat].append(_apply_updates(message, self._updates[message.key_id]))
        return {
            chat: ExpectedConversation(sorted(messages, key=lambda message: message.sort_key, reverse=True))
            for chat, messages in chats.items()
        }

    @property
    def state(self) -> str:
        """The expected connection state of the instance; "" if unknown, or if two states share the latest time."""
        return _latest(self._states)

    @property
    def presences(self) -> dict[str, str]:
        """The expected presence (such as "composing") of each person, by phone number."""
        return {phone: state for phone, states in self._presences.items() if (state := _latest(states))}

    # --- messages -----------------------------------------------------------------------------------------------------
    def _add_record(self, event: Event) -> None:
        record = event.data
        key, message = record["key"], record["message"]
        author = "me" if key["fromMe"] else self._owners[key.get("participant") or key["remoteJid"]]
        if "reactionMessage" in message:
            body = message["reactionMessage"]
            reaction = (_int64(body["senderTimestampMs"]), body["text"])
            self._updates[body["key"]["id"]].reactions[author].append(reaction)
        elif "pollUpdateMessage" in message:
            body = message["pollUpdateMessage"]
            vote = (_int64(body["senderTimestampMs"]), body["vote"]["selectedOptions"])
            self._updates[body["pollCreationMessageKey"]["id"]].votes[author].append(vote)
        else:
            self._add_copy(event)

    def _add_copy(self, event: Event) -> None:
        record = event.data
        key, content, kind = record["key"], record["message"], record["messageType"]
        text = content[kind] if kind == "conversation" else content[kind].get(_TEXT_FIELDS.get(kind, ""), "")
        chat, timestamp = self._owners[key["remoteJid"]], record["messageTimestamp"]
        message = self._merge(ExpectedMessage(chat, key["id"], key["fromMe"], timestamp, text, event.at))
        message.from_device |= key["fromMe"] and event.name == "messages.upsert"
        message.file = file_digest(content["base64"]) if "base64" in content else ""
        self._updates[key["id"]].statuses.append(_STATUSES[record["status"]])

    def _add_call(self, event: Event) -> None:
        call = event.data
        at = int(dt.datetime.fromisoformat(call["date"]).timestamp())
        chat = self._owners[call["chatId"]]
        self._merge(ExpectedMessage(chat, call["id"], False, at, "", event.at, is_call=True))  # noqa: FBT003 - as in `_add_copy`

    def _merge(self, copy: ExpectedMessage) -> ExpectedMessage:
        message = self._messages.setdefault(copy.key_id, copy)
        message.timestamp = min(message.timestamp, copy.timestamp)
        message.sent_order = min(message.sent_order, copy.sent_order)
        return message

    def _add_status(self, event: Event) -> None:
        self._updates[event.data["keyId"]].statuses.append(_STATUSES[event.data["status"]])

    def _add_edit(self, event: Event) -> None:
        body = event.data
        updates = self._updates[body["key"]["id"]]
        if body["type"] == "REVOKE":
            updates.is_deleted = True
            return
        edited = body["editedMessage"]
        text = edited["conversation"] if "conversation" in edited else edited["extendedTextMessage"]["text"]
        updates.edits.append((int(body["timestampMs"]), text))

    def _add_deletion(self, event: Event) -> None:
        key = event.data.get("key")
        self._updates[key["id"] if key else event.data["id"]].is_deleted = True

    # --- latest states ------------------------------------------------------------------------------------------------
    def _add_state(self, event: Event) -> None:
        self._states.append((event.at, event.data["state"]))

    def _add_presence(self, event: Event) -> None:
        for jid, state in event.data["presences"].items():
            self._presences[self._owners[jid]].append((event.at, state["lastKnownPresence"]))


def _apply_updates(message: ExpectedMessage, updates: _Updates) -> ExpectedMessage:
    message.status = max(updates.statuses, default=0)
    message.is_deleted = updates.is_deleted
    if updates.edits:
        message.text = max(updates.edits)[1]
    reactions = (max(values)[1] for values in updates.reactions.values())
    message.reactions = sorted(emoji for emoji in reactions if emoji)
    message.votes = sorted(sorted(max(values)[1]) for values in updates.votes.values())
    return message


def _latest(values: list[Timed]) -> str:
    """Return the value with the latest time; "" if there is no value, or two different values at the latest time."""
    if not values:
        return ""
    latest = max(at for at, _ in values)
    candidates = {value for at, value in values if at == latest}
    return candidates.pop() if len(candidates) == 1 else ""


def _int64(value: Mapping[str, Any]) -> int:
    return int(value["high"]) * 2**32 + (int(value["low"]) & 0xFFFFFFFF)
