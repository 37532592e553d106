"""A chat's live turns as a paired number's webhooks, with all that comes along: one text is four or five of them."""

from collections.abc import Callable, Iterator
from typing import Any

from conversations.demo import contents, demo_clock
from conversations.demo.addressing import ChatAddressing, Json, envelope, record
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.events import Event
from conversations.demo.rng import cuid, hexadecimal

_TYPING_SHARE = 0.25  # of the inbound bubbles are seen being typed; of voice messages, all
_ACKS = (("SERVER_ACK", 700), ("DELIVERY_ACK", 2_500), ("READ", 20_000), ("PLAYED", 60_000))  # ms after sending
_CALLS = {
    "timeout": (("offer", 0), ("ringing", 1), ("timeout", 45)),
    "reject": (("offer", 0), ("reject", 6)),
    "accept": (("offer", 0), ("accept", 5), ("terminate", 90)),
}


class LiveChat:
    """Tells one chat's live part in webhooks, in the order in which Evolution builds them."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._chance = chat.noise("live")
        self._names = ChatAddressing(chat)
        self._unread = 0
        self._is_known = bool(chat.past)
        self._votes: dict[ChatAction, dict[str, list[str]]] = {}
        self._writers: dict[str, Callable[[ChatAction], Iterator[Event]]] = {
            "react": self._reaction,
            "unreact": self._reaction,
            "vote": self._vote,
            "edit": self._edit,
            "delete": self._delete,
            "call": self._call,
        }

    def events(self) -> Iterator[Event]:
        """Yield the webhooks."""
        for turn in self._chat.live:
            yield from self._writers.get(turn.kind, self._bubble)(turn)

    def _event(self, turn: ChatAction, after: int, name: str, data: Any) -> Event:
        return Event(turn.at + after + self._chance.randrange(250), self._chat.channel, name, data)

    # --- bubbles ------------------------------------------------------------------------------------------------------

    def _bubble(self, turn: ChatAction) -> Iterator[Event]:
        if turn.who:
            yield from self._inbound(turn)
            return
        yield from self._read_there(turn)
        yield from self._from_phone(turn) if turn.by_phone else self._from_api(turn)

    def _inbound(self, turn: ChatAction) -> Iterator[Event]:
        self._unread += 1
        if turn.kind == "voice" or self._chance.random() < _TYPING_SHARE:
            yield self._presence(turn, -3 * SECOND, "recording" if turn.kind == "voice" else "composing")
        yield self._upsert(turn, "DELIVERY_ACK")
        if not self._is_known:
            yield self._event(turn, 330, "contacts.upsert", self._contact(turn))
            yield self._event(turn, 380, "chats.upsert", [self._chat_item(turn, unreadMessages=self._unread)])
        elif turn is self._chat.live[0]:
            yield self._event(turn, 380, "chats.upsert", [])
        yield from self._echo(turn)
        self._is_known = True

    def _from_phone(self, turn: ChatAction) -> Iterator[Event]:
        """Yield an answer typed on the phone itself."""
        yield self._upsert(turn, "SERVER_ACK")
        yield from self._echo(turn)
        yield from self._acks(turn, first=1)

    def _from_api(self, turn: ChatAction) -> Iterator[Event]:
        key = self._names.plain_key(turn)
        data = record(self._names, turn, self._chance, key=key, status="PENDING")
        yield self._event(turn, 300, "send.message", data)
        yield from self._acks(turn)

    def _upsert(self, turn: ChatAction, status: str) -> Event:
        key = self._names.key(turn)
        data = record(self._names, turn, self._chance, key=key, status=status)
        return self._event(turn, 300, "messages.upsert", data)

    def _echo(self, turn: ChatAction) -> Iterator[Event]:
        """Yield what follows every message: twice the contact, once the chat."""
        item = self._chat_item(turn)
        yield self._event(turn, 310, "contacts.update", [{**item, "profilePicUrl": self._picture(turn)}])
        yield self._event(turn, 340, "contacts.update", self._contact(turn))
        yield self._event(turn, 370, "chats.update", [item])

    def _contact(self, turn: ChatAction) -> Json:
        """Return the object form: in a group it has the group's address and the author's name, from us no name."""
        is_alias = self._names.naming == "alias"
        return {
            "remoteJid": self._chat.person.jid if is_alias else self._names.jid(turn),
            "pushName": turn.who.push_name if turn.who else "",
            "profilePicUrl": self._picture(turn),
            "instanceId": self._chat.channel.instance_id,
        }

    def _chat_item(self, turn: ChatAction, **more: Any) -> Json:
        return {"remoteJid": self._names.update_jid(turn), "instanceId": self._chat.channel.instance_id, **more}

    def _picture(self, turn: ChatAction) -> str | None:
        return None if self._chat.group_jid or not turn.who else turn.who.picture

    # --- acknowledgements ---------------------------------------------------------------------------------------------

    def _acks(self, turn: ChatAction, first: int = 0) -> Iterator[Event]:
        """Yield what the server and the other end say of our bubble; of a group's they say nothing to webhooks."""
        if self._chat.group_jid:
            return
        if turn.kind == "fails":
            yield self._update(turn, 900, "ERROR")
            return
        for status, after in _ACKS[first : self._reached(turn)]:
            yield self._update(turn, after, status)
            yield self._event(turn, after + 250, "chats.upsert", [self._chat_item(turn, unreadMessages=0)])

    def _reached(self, turn: ChatAction) -> int:
        """Return how many acknowledgements come: all, if the other end has answered since."""
        if self._chat.is_answered(turn):
            return 4 if turn.kind == "voice" else 3
        return self._chance.choices((1, 2, 3), (1, 4, 10))[0]

    def _update(self, turn: ChatAction, after: int, status: str) -> Event:
        data = {
            "keyId": turn.key_id,
            "remoteJid": self._names.update_jid(turn),
            "fromMe": turn.who is None,
            "status": status,
            "instanceId": self._chat.channel.instance_id,
            "messageId": cuid(self._chance),
        }
        return self._event(turn, after, "messages.update", data)

    def _read_there(self, answer: ChatAction) -> Iterator[Event]:
        """Yield that what came before was read, on another device: who answers has looked at it."""
        before = [turn for turn in self._chat.live if turn.who and turn.is_bubble and turn.at < answer.at]
        for turn in before[-self._unread :] if self._unread and not self._chat.group_jid else ():
            yield self._update(turn, answer.at - turn.at - 2 * SECOND, "READ")
        self._unread = 0

    # --- what is done to a bubble -------------------------------------------------------------------------------------

    def _signal(self, turn: ChatAction, kind: str, body: Json, **more: Any) -> Event:
        """Return a message that is no bubble; ours go through the API."""
        key = self._names.key(turn) if turn.who else self._names.plain_key(turn)
        status = "DELIVERY_ACK" if turn.who else "PENDING"
        data = envelope(self._chat, turn, key=key, message={kind: body}, status=status) | more
        return self._event(turn, 300, "messages.upsert" if turn.who else "send.message", data)

    def _reaction(self, turn: ChatAction) -> Iterator[Event]:
        if turn.about:
            body = contents.reaction(turn, self._names.plain_key(turn.about))
            yield self._signal(turn, "reactionMessage", body)

    def _vote(self, turn: ChatAction) -> Iterator[Event]:
        """Yield a vote with the poll's count so far; who votes again has changed their mind."""
        if not turn.about or not turn.who:
            return
        count = self._votes.setdefault(turn.about, {name: [] for name in contents.poll_options(turn.about)})
        voter = turn.who.lid_jid if self._chat.group_jid else turn.who.jid
        for name, voters in count.items():
            count[name] = [other for other in voters if other != voter] + ([voter] if name == turn.argument else [])
        updates = [{"name": name, "voters": list(voters)} for name, voters in count.items()]
        body = contents.vote(turn, self._names.plain_key(turn.about), self._chance)
        yield self._signal(turn, "pollUpdateMessage", body, pollUpdates=updates)

    def _edit(self, turn: ChatAction) -> Iterator[Event]:
        if not turn.about:
            return
        protocol: Json = {"type": "MESSAGE_EDIT", "timestampMs": str(turn.at)}
        if turn.who is None:
            edited: Json = {"extendedTextMessage": {"text": turn.text}}
            key = self._names.plain_key(turn.about)
            yield self._event(turn, 300, "send.message.update", {"key": key, **protocol, "editedMessage": edited})
            yield self._update(turn.about, turn.at - turn.about.at + 900, "SERVER_ACK")
        else:
            edited = {"conversation": turn.text}
            key = self._editors_key(turn.about)
            yield self._event(turn, 300, "messages.edited", {"key": key, **protocol, "editedMessage": edited})

    def _delete(self, turn: ChatAction) -> Iterator[Event]:
        if not turn.about:
            return
        if turn.who is None:
            yield self._event(turn, 300, "messages.delete", self._deleted_by_api(turn.about))
        else:
            revoke = {"key": self._editors_key(turn.about), "type": "REVOKE"}
            yield self._event(turn, 300, "messages.edited", revoke)
            data = {**self._names.key(turn.about), "status": "DELETED"}
            yield self._event(turn, 600, "messages.delete", data)

    def _editors_key(self, bubble: ChatAction) -> Json:
        """Return the key as the editor's phone has it: there it is theirs, and we are the other end."""
        jid = self._chat.group_jid or self._chat.channel.owner_jid
        return {"remoteJid": jid, "fromMe": True, "id": bubble.key_id}

    def _deleted_by_api(self, bubble: ChatAction) -> Json:
        key = {**self._names.plain_key(bubble), "deleted": True}
        kind, body = contents.content(bubble, self._chance)
        data = envelope(self._chat, bubble, key=key, message={kind: body}, status="DELETED")
        return {"id": cuid(self._chance), **data, "participant": None}

    # --- signs of life ------------------------------------------------------------------------------------------------

    def _presence(self, turn: ChatAction, after: int, state: str) -> Event:
        jid = self._names.author(turn)
        presence = {"id": self._names.jid(turn), "presences": {jid: {"lastKnownPresence": state}}}
        return self._event(turn, after, "presence.update", presence)

    def _call(self, turn: ChatAction) -> Iterator[Event]:
        medium, outcome = turn.argument.split()
        call_id = hexadecimal(self._chance, 32)
        for status, seconds in _CALLS[outcome]:
            data = {
                "chatId": self._names.jid(turn),
                "from": self._names.author(turn),
                "id": call_id,
                "date": demo_clock.utc(turn.at).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "offline": False,
                "status": status,
                "isVideo": medium == "video",
                "isGroup": False,
            }
            yield self._event(turn, seconds * SECOND, "call", data)
