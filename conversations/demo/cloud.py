"""Builds the webhooks of a chat on Meta's Cloud API, which causes fewer webhooks, in other formats, than Baileys."""

from collections.abc import Callable, Iterator
from typing import Any

from conversations.demo.baileys_messages import card_name, location, vcard
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Event, Json
from conversations.demo.rng import Random, cuid, digits, hexadecimal

_ACKNOWLEDGEMENTS = [("SENT", 800), ("DELIVERED", 2_200), ("READ", 25_000)]  # (status, milliseconds after sending)
_FAILED = [("SENT", 800), ("FAILED", 1_500)]

_MEDIA = {  # kind of message: (key of the content, MIME type that Meta uses)
    "image": ("imageMessage", "image/jpeg"),
    "video": ("videoMessage", "video/mp4"),
    "voice": ("audioMessage", "audio/ogg; codecs=opus"),
    "document": ("documentMessage", "application/pdf"),
    "sticker": ("stickerMessage", "image/webp"),
}


class CloudChat:
    """Builds the webhooks that one chat causes after the number was connected, in the order in which Evolution does."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._rng = chat.rng_for("cloud")

    def events(self) -> Iterator[Event]:
        """Yield the webhooks of the chat's live actions, that is, actions after the number was connected."""
        for action in self._chat.live:
            yield from self._inbound(action) if action.author else self._outbound(action)

    def _inbound(self, action: ChatAction) -> Iterator[Event]:
        kind, message = _inbound_content(action, self._rng)
        data = {
            **self._key(action),
            "pushName": self._chat.person.push_name,
            **self._record(action, kind, message),
        }
        contact = {"pushName": self._chat.person.push_name, "instanceId": self._chat.instance.instance_id}
        yield self._event(action, 500, "messages.upsert", data)
        yield self._event(action, 520, "contacts.upsert", contact)

    def _outbound(self, action: ChatAction) -> Iterator[Event]:
        kind, message = _outbound_content(action)
        yield self._event(
            action,
            400,
            "send.message",
            {**self._key(action), **self._record(action, kind, message), "status": "PENDING"},
        )
        updates = _FAILED if action.kind == "fails" else _ACKNOWLEDGEMENTS
        if not self._chat.is_answered(action):
            updates = updates[: self._rng.choices((1, 2, 3), (1, 4, 10))[0]]
        for status, after in updates:
            yield self._event(action, after, "messages.update", self._update(action, status))

    def _key(self, action: ChatAction) -> Json:
        return {"key": {"id": action.key_id, "remoteJid": self._chat.person.jid, "fromMe": action.author is None}}

    def _record(self, action: ChatAction, kind: str, message: Json) -> Json:
        context = _context(action)
        return {
            "message": {**message, **context},
            **context,
            "messageType": kind,
            "messageTimestamp": action.at // SECOND,
            "source": "unknown",
            "instanceId": self._chat.instance.instance_id,
        }

    def _update(self, action: ChatAction, status: str) -> Json:
        """Return an acknowledgement of an outbound message, in which Evolution 2.3.7 wrongly sets `fromMe` to false."""
        jid = self._chat.person.jid
        return {
            "messageId": cuid(self._rng),
            "keyId": action.key_id,
            "remoteJid": jid,
            "fromMe": False,
            "participant": jid,
            "status": status,
            "instanceId": self._chat.instance.instance_id,
        }

    def _event(self, action: ChatAction, after: int, name: str, data: Any) -> Event:
        return Event(action.at + after + self._rng.randrange(250), self._chat.instance, name, data)


def _context(action: ChatAction) -> Json:
    if action.kind in ("react", "unreact") or not action.target:
        return {}
    return {"contextInfo": {"stanzaId": action.target.key_id}}


def _inbound_content(action: ChatAction, rng: Random) -> tuple[str, Json]:
    """Return the type and the content of an inbound message."""
    if action.kind in _MEDIA:
        key, mimetype = _MEDIA[action.kind]
        media = {"id": digits(rng, 15), "mime_type": mimetype, "sha256": hexadecimal(rng, 16).lower()}
        return key, {key: media | _media_details(action)}
    return _CONTENTS.get(action.kind, _text)(action, rng)


def _media_details(action: ChatAction) -> Json:
    if action.kind == "voice":
        return {"voice": True, "ptt": True}
    if action.kind == "document":
        return {"filename": action.text}
    if action.kind == "sticker":
        return {"animated": False}
    return {"caption": action.text} if action.text else {}


def _text(action: ChatAction, _: Random) -> tuple[str, Json]:
    return "conversation", {"conversation": action.text}


def _button(action: ChatAction, _: Random) -> tuple[str, Json]:
    return "buttonMessage", {"conversation": action.argument}


def _reaction(action: ChatAction, _: Random) -> tuple[str, Json]:
    """Return the type and the content of a reaction; a removed reaction has no text."""
    emoji = {"text": action.argument} if action.kind == "react" else {}
    return "reactionMessage", {
        "reactionMessage": {"key": {"id": action.target.key_id if action.target else ""}, **emoji}
    }


def _location(action: ChatAction, _: Random) -> tuple[str, Json]:
    return "locationMessage", {"locationMessage": location(action)}


def _contact(action: ChatAction, rng: Random) -> tuple[str, Json]:
    card = {"displayName": card_name(action), "vcard": vcard(action, rng)}
    return "contactMessage", {"contactMessage": card}


_CONTENTS: dict[str, Callable[[ChatAction, Random], tuple[str, Json]]] = {
    "button": _button,
    "react": _reaction,
    "unreact": _reaction,
    "location": _location,
    "contact": _contact,
}


def _outbound_content(action: ChatAction) -> tuple[str, Json]:
    """Return the type and the content of an outbound message."""
    if action.kind == "document":
        media = {
            "mediaType": "document",
            "fileName": action.text,
            "media": f"https://files.example.com/{action.text}",
            "mimetype": "application/pdf",
            "type": "link",
        }
        return "documentMessage", {"documentMessage": media}
    return "conversation", {"conversation": action.text}
