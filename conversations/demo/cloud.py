"""A chat's live turns as the webhooks of an instance on Meta's Cloud API: fewer, and of other shapes."""

from collections.abc import Callable, Iterator
from typing import Any

from conversations.demo import contents
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Event
from conversations.demo.rng import Random, cuid, digits, hexadecimal

Json = dict[str, Any]

_ACKS = (("SENT", 800), ("DELIVERED", 2_200), ("READ", 25_000))  # ms after sending
_FAILED = (("SENT", 800), ("FAILED", 1_500))

# kind: (content key, Meta's MIME type)
_MEDIA = {
    "image": ("imageMessage", "image/jpeg"),
    "video": ("videoMessage", "video/mp4"),
    "voice": ("audioMessage", "audio/ogg; codecs=opus"),
    "document": ("documentMessage", "application/pdf"),
    "sticker": ("stickerMessage", "image/webp"),
}


class CloudChat:
    """Tells one chat's live part in webhooks, in the order in which Evolution builds them."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._chance = chat.noise("cloud")

    def events(self) -> Iterator[Event]:
        """Yield the webhooks."""
        for turn in self._chat.live:
            yield from self._inbound(turn) if turn.who else self._outbound(turn)

    def _inbound(self, turn: ChatAction) -> Iterator[Event]:
        kind, message = _received(turn, self._chance)
        data = {
            **self._key(turn),
            "pushName": self._chat.person.push_name,
            **self._record(turn, kind, message),
        }
        contact = {"pushName": self._chat.person.push_name, "instanceId": self._chat.channel.instance_id}
        yield self._event(turn, 500, "messages.upsert", data)
        yield self._event(turn, 520, "contacts.upsert", contact)

    def _outbound(self, turn: ChatAction) -> Iterator[Event]:
        kind, message = _sent(turn)
        yield self._event(
            turn, 400, "send.message", {**self._key(turn), **self._record(turn, kind, message), "status": "PENDING"}
        )
        acks = _FAILED if turn.kind == "fails" else _ACKS
        for status, after in (
            acks if self._chat.is_answered(turn) else acks[: self._chance.choices((1, 2, 3), (1, 4, 10))[0]]
        ):
            yield self._event(turn, after, "messages.update", self._update(turn, status))

    def _key(self, turn: ChatAction) -> Json:
        return {"key": {"id": turn.key_id, "remoteJid": self._chat.person.jid, "fromMe": turn.who is None}}

    def _record(self, turn: ChatAction, kind: str, message: Json) -> Json:
        context = _context(turn)
        return {
            "message": {**message, **context},
            **context,
            "messageType": kind,
            "messageTimestamp": turn.at // SECOND,
            "source": "unknown",
            "instanceId": self._chat.channel.instance_id,
        }

    def _update(self, turn: ChatAction, status: str) -> Json:
        """Return an acknowledgement of our message; 2.3.7 says of it, wrongly, that it is not ours."""
        jid = self._chat.person.jid
        return {
            "messageId": cuid(self._chance),
            "keyId": turn.key_id,
            "remoteJid": jid,
            "fromMe": False,
            "participant": jid,
            "status": status,
            "instanceId": self._chat.channel.instance_id,
        }

    def _event(self, turn: ChatAction, after: int, name: str, data: Any) -> Event:
        return Event(turn.at + after + self._chance.randrange(250), self._chat.channel, name, data)


def _context(turn: ChatAction) -> Json:
    if turn.kind in ("react", "unreact") or not turn.about:
        return {}
    return {"contextInfo": {"stanzaId": turn.about.key_id}}


def _received(turn: ChatAction, chance: Random) -> tuple[str, Json]:
    """Return the type and the content of what a customer sent."""
    if turn.kind in _MEDIA:
        key, mimetype = _MEDIA[turn.kind]
        media = {"id": digits(chance, 15), "mime_type": mimetype, "sha256": hexadecimal(chance, 16).lower()}
        return key, {key: media | _media_details(turn)}
    return _OTHERS.get(turn.kind, _text)(turn, chance)


def _media_details(turn: ChatAction) -> Json:
    if turn.kind == "voice":
        return {"voice": True, "ptt": True}
    if turn.kind == "document":
        return {"filename": turn.text}
    if turn.kind == "sticker":
        return {"animated": False}
    return {"caption": turn.text} if turn.text else {}


def _text(turn: ChatAction, _: Random) -> tuple[str, Json]:
    return "conversation", {"conversation": turn.text}


def _button(turn: ChatAction, _: Random) -> tuple[str, Json]:
    return "buttonMessage", {"conversation": turn.argument}


def _reaction(turn: ChatAction, _: Random) -> tuple[str, Json]:
    """Return a reaction; one taken back has no text."""
    emoji = {"text": turn.argument} if turn.kind == "react" else {}
    return "reactionMessage", {"reactionMessage": {"key": {"id": turn.about.key_id if turn.about else ""}, **emoji}}


def _location(turn: ChatAction, _: Random) -> tuple[str, Json]:
    point, name, address = turn.argument.split("|")
    latitude, longitude = map(float, point.split())
    place = {"degreesLatitude": latitude, "degreesLongitude": longitude, "name": name, "address": address}
    return "locationMessage", {"locationMessage": place}


def _contact(turn: ChatAction, chance: Random) -> tuple[str, Json]:
    card = {"displayName": contents.card_name(turn), "vcard": contents.vcard(turn, chance)}
    return "contactMessage", {"contactMessage": card}


_OTHERS: dict[str, Callable[[ChatAction, Random], tuple[str, Json]]] = {
    "button": _button,
    "react": _reaction,
    "unreact": _reaction,
    "location": _location,
    "contact": _contact,
}


def _sent(turn: ChatAction) -> tuple[str, Json]:
    """Return the type and the content of what the API sent."""
    if turn.kind == "document":
        media = {
            "mediaType": "document",
            "fileName": turn.text,
            "media": f"https://files.example.com/{turn.text}",
            "mimetype": "application/pdf",
            "type": "link",
        }
        return "documentMessage", {"documentMessage": media}
    return "conversation", {"conversation": turn.text}
