"""Baileys message records: the keys a message goes by, and the record round its content.

A direct chat has one of four ways of naming the other end, all seen on real servers:

    phone      the phone number, with the LID beside it
    alias      2.3.7 writes the phone number twice; acknowledgements come under the LID all the same
    hidden     the LID alone
    revealed   the LID alone, until a later message brings the phone number
"""

from typing import Any

from conversations.demo import contents, demo_clock
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.rng import Random

Json = dict[str, Any]

LIVE_NAMINGS = ("phone", "revealed", "phone", "alias", "phone", "phone", "phone")
_HIDDEN_SHARE = 0.03  # of the chats that are not live
_REVEALED_AT = 4  # inbound bubbles after the live part's first, or at its last

_NO_CONTEXT: Json = {"mentionedJid": [], "groupMentions": [], "statusAttributions": []}


class ChatAddressing:
    """How a chat's two ends are called, turn by turn."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        if chat.group_jid:
            self.naming = "group"
        elif chat.live_number is not None:
            self.naming = LIVE_NAMINGS[chat.live_number % len(LIVE_NAMINGS)]
        else:
            self.naming = "hidden" if chat.noise("naming").random() < _HIDDEN_SHARE else "phone"
        inbound = [turn.at for turn in chat.live if turn.is_bubble and turn.who]
        self._revealed_at = inbound[min(_REVEALED_AT, len(inbound) - 1)] if inbound else demo_clock.END

    def is_hidden(self, turn: ChatAction) -> bool:
        """Whether only the LID is known when the turn comes."""
        if self.naming == "revealed":
            return turn.at < self._revealed_at
        return self.naming == "hidden"

    def jid(self, turn: ChatAction) -> str:
        """Return the chat's address at that turn."""
        if self.chat.group_jid:
            return self.chat.group_jid
        return self.chat.person.lid_jid if self.is_hidden(turn) else self.chat.person.jid

    def first_jid(self) -> str:
        """Return the chat's address in the lists that come when the number is connected."""
        if self.chat.group_jid:
            return self.chat.group_jid
        return self.chat.person.lid_jid if self.naming in ("hidden", "revealed") else self.chat.person.jid

    def update_jid(self, turn: ChatAction) -> str:
        """Return the address under which the message's acknowledgements come."""
        return self.chat.person.lid_jid if self.naming == "alias" else self.jid(turn)

    def author(self, turn: ChatAction) -> str:
        """Return the address of who wrote a bubble, as a quotation gives it."""
        if turn.who is None:
            return self.chat.channel.owner_lid_jid if self.chat.group_jid else self.chat.channel.owner_jid
        return turn.who.lid_jid if self.chat.group_jid or self.is_hidden(turn) else turn.who.jid

    def mentioned(self, turn: ChatAction) -> list[str]:
        """Return the addresses of those whom a bubble names by an @."""
        return [person.lid_jid for person in self.chat.people if f"@{person.lid}" in turn.text]

    def plain_key(self, turn: ChatAction) -> Json:
        """Return a key with nothing but the address: of the history, of what the API sends, of a bubble acted upon."""
        key: Json = {"remoteJid": self.jid(turn), "fromMe": turn.who is None, "id": turn.key_id}
        if self.chat.group_jid and turn.who:
            key["participant"] = turn.who.lid_jid
        return key

    def key(self, turn: ChatAction) -> Json:
        """Return the key of a live message, with the other addresses of its chat or of its author."""
        key = self.plain_key(turn)
        if self.chat.group_jid:
            alternative = {"participantAlt": turn.who.jid} if turn.who else {}
            return {**key, **alternative, "addressingMode": "lid"}
        if self.is_hidden(turn):
            return {**key, "participant": "", "addressingMode": "lid"}
        person, is_alias = self.chat.person, self.naming == "alias"
        return {
            "remoteJid": key["remoteJid"],
            "remoteJidAlt": person.jid if is_alias else person.lid_jid,
            "fromMe": key["fromMe"],
            "id": key["id"],
            "participant": "",
            "addressingMode": "lid" if is_alias else "pn",
        }


def record(names: ChatAddressing, turn: ChatAction, chance: Random, *, key: Json, status: str) -> Json:
    """Return a bubble's record, as `messages.upsert`, `messages.set` and `send.message` carry it.

    Args:
        names: how the ends of its chat are called.
        turn: the bubble.
        chance: where ids and bytes come from.
        key: the key it goes by.
        status: Evolution's word.
    """
    kind, body = contents.content(turn, chance)
    context = _context(names, turn, chance)
    message: Json = {kind: body}
    if isinstance(body, dict) and context:
        body["contextInfo"] = context
    is_live_inbound = turn.who is not None and "addressingMode" in key
    if is_live_inbound:
        message["messageContextInfo"] = contents.secret(turn, chance)
    data = envelope(names.chat, turn, key=key, message=message, status=status)
    if context or kind != "conversation":
        data["contextInfo"] = context or None
    return data


def envelope(chat: Chat, turn: ChatAction, *, key: Json, message: Json, status: str) -> Json:
    """Return the record round a content that is ready, and comes first in `message`."""
    return {
        "key": key,
        "pushName": _push_name(chat, turn),
        "status": status,
        "message": message,
        "messageType": next(iter(message)),
        "messageTimestamp": turn.at // SECOND,
        "instanceId": chat.channel.instance_id,
        "source": _source(turn),
    }


def _push_name(chat: Chat, turn: ChatAction) -> str:
    """Return the author's name: the API calls the owner "Você", the owner's phone by their profile's name."""
    if turn.who:
        return turn.who.push_name
    return chat.channel.profile_name if turn.by_phone else "Você"


def _source(turn: ChatAction) -> str:
    if turn.who:
        return turn.who.source
    return "ios" if turn.by_phone else "web"


def _context(names: ChatAddressing, turn: ChatAction, chance: Random) -> Json:
    """Return `contextInfo`: what the bubble quotes, and whom it mentions."""
    mentioned = names.mentioned(turn)
    if not turn.about and not mentioned:
        return {}
    context = {**_NO_CONTEXT, "mentionedJid": mentioned}
    if turn.about:
        kind, body = contents.content(turn.about, chance)
        context |= {
            "stanzaId": turn.about.key_id,
            "participant": names.author(turn.about),
            "quotedMessage": {kind: body},
        }
    return context
