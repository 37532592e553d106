"""What must be there in the end, computed from what was posted: a small model that knows nothing of ingestion.

It holds all that was said and looks at it once, at the end; so no order can matter to it. Its rules are the contract's:
of copies the earliest timestamp, the highest status, the latest edit, reaction and vote, a deletion for ever; the last
message by (timestamp, key id); unread is what came after the latest moment that is known to be read.
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
from tests.load import scenario

_RANKS = {"PENDING": 0, "SERVER_ACK": 1, "ERROR": 2, "DELIVERY_ACK": 3, "READ": 4, "PLAYED": 5}
_READ = _RANKS["READ"]
_TEXTS = {
    "imageMessage": "caption",
    "videoMessage": "caption",
    "ptvMessage": "caption",
    "documentMessage": "caption",
    "contactMessage": "displayName",
    "locationMessage": "name",
    "pollCreationMessageV3": "name",
    "buttonsResponseMessage": "selectedDisplayText",
}
_CALL = "call"
_INSTANT = dt.timedelta(microseconds=1)
Said = tuple[int, Any]  # when (ms), and what


@dataclass
class Bubble:
    """One message as it must be; `chat` is a phone number or a group's JID."""

    chat: str
    key_id: str
    from_me: bool
    timestamp: int  # seconds
    text: str
    is_call: bool = False
    from_device: bool = False
    status: int = 0
    is_deleted: bool = False
    reactions: list[str] = field(default_factory=list)
    votes: list[list[str]] = field(default_factory=list)
    file: str = ""

    @property
    def at(self) -> dt.datetime:
        """The timestamp as a time."""
        return demo_clock.utc(self.timestamp * SECOND)

    @property
    def place(self) -> tuple[dt.datetime, str, bool]:
        """Its place in the conversation."""
        return self.at, self.key_id, self.from_me


@dataclass
class Thread:
    """One conversation as it must be, its messages latest first."""

    bubbles: list[Bubble]

    @property
    def last(self) -> Bubble:
        """The last message."""
        return self.bubbles[0]

    @property
    def unread(self) -> int:
        """How many messages are unread."""
        read = [bubble.at for bubble in self.bubbles if not bubble.from_me and bubble.status >= _READ]
        read += [bubble.at - _INSTANT for bubble in self.bubbles if bubble.from_device]
        until = max(read, default=demo_clock.utc(0))
        theirs = (bubble for bubble in self.bubbles if not bubble.from_me and not bubble.is_call)
        return sum(bubble.at > until for bubble in theirs)


@dataclass
class _Told:
    """What was said of one message, whether it is there or not."""

    statuses: list[int] = field(default_factory=list)
    edits: list[Said] = field(default_factory=list)
    reactions: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    votes: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    is_deleted: bool = False


class Oracle:
    """Hears every event that was delivered, of one instance, in any order.

    Args:
        addresses: whose each address is: a phone number, or a group's JID (`world.addresses`, of this instance).
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._whose = addresses
        self._bubbles: dict[str, Bubble] = {}
        self._told: dict[str, _Told] = defaultdict(_Told)
        self._states: list[Said] = []
        self._presences: dict[str, list[Said]] = defaultdict(list)
        self._hear: dict[str, Callable[[Event], None]] = {
            "messages.upsert": self._record,
            "send.message": self._record,
            "messages.update": self._update,
            "messages.edited": self._edited,
            "send.message.update": self._edited,
            "messages.delete": self._deleted,
            "call": self._call,
            "connection.update": self._connection,
            "presence.update": self._presence,
        }

    def hear(self, events: Iterable[Event]) -> None:
        """Take in what was delivered; what carries nothing that is judged is passed over."""
        for event in events:
            if event.name in self._hear:
                self._hear[event.name](event)

    @cached_property
    def threads(self) -> dict[str, Thread]:
        """The conversations that must be there, once everything was heard."""
        chats: dict[str, list[Bubble]] = defaultdict(list)
        for bubble in self._bubbles.values():
            chats[bubble.chat].append(_joined(bubble, self._told[bubble.key_id]))
        found = {}
        for chat, bubbles in chats.items():
            found[chat] = Thread(sorted(bubbles, key=lambda bubble: bubble.place, reverse=True))
        return found

    @property
    def state(self) -> str:
        """The connection's state that must be shown; "" where nothing was said, or two things at once."""
        return _latest(self._states)

    @property
    def presences(self) -> dict[str, str]:
        """What each person must be shown as doing, by phone number."""
        return {phone: word for phone, said in self._presences.items() if (word := _latest(said))}

    # --- messages -----------------------------------------------------------------------------------------------------
    def _record(self, event: Event) -> None:
        record = event.data
        key, message = record["key"], record["message"]
        author = "me" if key["fromMe"] else self._whose[key.get("participant") or key["remoteJid"]]
        if "reactionMessage" in message:
            body = message["reactionMessage"]
            self._told[body["key"]["id"]].reactions[author].append((_int64(body["senderTimestampMs"]), body["text"]))
        elif "pollUpdateMessage" in message:
            body = message["pollUpdateMessage"]
            vote = (_int64(body["senderTimestampMs"]), body["vote"]["selectedOptions"])
            self._told[body["pollCreationMessageKey"]["id"]].votes[author].append(vote)
        else:
            self._copy(event)

    def _copy(self, event: Event) -> None:
        record = event.data
        key, message, kind = record["key"], record["message"], record["messageType"]
        text = message[kind] if kind == "conversation" else message[kind].get(_TEXTS.get(kind, ""), "")
        bubble = self._bubble(
            Bubble(self._whose[key["remoteJid"]], key["id"], key["fromMe"], record["messageTimestamp"], text)
        )
        bubble.from_device |= key["fromMe"] and event.name == "messages.upsert"
        bubble.file = scenario.file_digest(message["base64"]) if "base64" in message else ""
        self._told[key["id"]].statuses.append(_RANKS[record["status"]])

    def _call(self, event: Event) -> None:
        call = event.data
        at = int(dt.datetime.fromisoformat(call["date"]).timestamp())
        self._bubble(
            Bubble(self._whose[call["chatId"]], call["id"], from_me=False, timestamp=at, text="", is_call=True)
        )

    def _bubble(self, copy: Bubble) -> Bubble:
        known = self._bubbles.setdefault(copy.key_id, copy)
        known.timestamp = min(known.timestamp, copy.timestamp)
        return known

    def _update(self, event: Event) -> None:
        self._told[event.data["keyId"]].statuses.append(_RANKS[event.data["status"]])

    def _edited(self, event: Event) -> None:
        body = event.data
        told = self._told[body["key"]["id"]]
        if body["type"] == "REVOKE":
            told.is_deleted = True
            return
        edited = body["editedMessage"]
        text = edited["conversation"] if "conversation" in edited else edited["extendedTextMessage"]["text"]
        told.edits.append((int(body["timestampMs"]), text))

    def _deleted(self, event: Event) -> None:
        by_api = event.data.get("key")
        self._told[by_api["id"] if by_api else event.data["id"]].is_deleted = True

    # --- latest states ------------------------------------------------------------------------------------------------
    def _connection(self, event: Event) -> None:
        self._states.append((event.at, event.data["state"]))

    def _presence(self, event: Event) -> None:
        for jid, state in event.data["presences"].items():
            self._presences[self._whose[jid]].append((event.at, state["lastKnownPresence"]))


def _joined(bubble: Bubble, told: _Told) -> Bubble:
    bubble.status = max(told.statuses, default=0)
    bubble.is_deleted = told.is_deleted
    if told.edits:
        bubble.text = max(told.edits)[1]
    reactions = (max(said)[1] for said in told.reactions.values())
    bubble.reactions = sorted(emoji for emoji in reactions if emoji)
    bubble.votes = sorted(sorted(max(said)[1]) for said in told.votes.values())
    return bubble


def _latest(said: list[Said]) -> str:
    """Return the latest of what was said; "" where the latest moment has two words."""
    if not said:
        return ""
    latest = max(at for at, _ in said)
    words = {word for at, word in said if at == latest}
    return words.pop() if len(words) == 1 else ""


def _int64(value: Mapping[str, Any]) -> int:
    return int(value["high"]) * 2**32 + (int(value["low"]) & 0xFFFFFFFF)
