"""Builds the WhatsApp addresses (JIDs) in the webhook payloads of one chat on a Baileys number.

The addresses in a direct chat follow one of these modes, all of which real servers use:

    phone           payloads contain the phone number, and the LID as the alternative address
    phone_twice     Evolution 2.3.7 writes the phone number as both addresses, but acknowledgements contain the LID
    lid             payloads contain only the LID
    lid_then_phone  payloads contain only the LID, until a later message adds the phone number
"""

from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.events import Json

# Modes that are assigned in turn to the direct chats with messages after the number was connected (live messages).
LIVE_MODES = ("phone", "lid_then_phone", "phone", "phone_twice", "phone", "phone", "phone")
_LID_SHARE = 0.03  # fraction of direct chats without live messages whose payloads contain only the LID
# In mode `lid_then_phone`, the index of the inbound live message that adds the phone number. In a shorter chat, the
# last inbound live message adds the phone number.
_REVEALING_MESSAGE = 4


class ChatAddressing:
    """Returns the addresses that the webhook payload of each action in one chat contains."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        if chat.group_jid:
            self.mode = "group"
        elif chat.live_index is not None:
            self.mode = LIVE_MODES[chat.live_index % len(LIVE_MODES)]
        else:
            self.mode = "lid" if chat.rng_for("naming").random() < _LID_SHARE else "phone"
        inbound = [action.at for action in chat.live if action.is_message and action.author]
        self._revealed_at = inbound[min(_REVEALING_MESSAGE, len(inbound) - 1)] if inbound else chat.instance.end

    def has_only_lid(self, action: ChatAction) -> bool:
        """Whether the action's payload contains only the customer's LID and no phone number."""
        return self.mode == "lid" or (self.mode == "lid_then_phone" and action.at < self._revealed_at)

    def jid(self, action: ChatAction) -> str:
        """Return the chat's address (JID) in the payload of the action."""
        if self.chat.group_jid:
            return self.chat.group_jid
        return self.chat.person.lid_jid if self.has_only_lid(action) else self.chat.person.jid

    def initial_jid(self) -> str:
        """Return the chat's address in the contact and chat lists that Evolution sends after a number was connected."""
        if self.chat.group_jid:
            return self.chat.group_jid
        return self.chat.person.lid_jid if self.mode in ("lid", "lid_then_phone") else self.chat.person.jid

    def update_jid(self, action: ChatAction) -> str:
        """Return the chat's address in the acknowledgements of a message."""
        return self.chat.person.lid_jid if self.mode == "phone_twice" else self.jid(action)

    def author(self, action: ChatAction) -> str:
        """Return the address of the message's author, as a reply that quotes the message contains it."""
        if action.author is None:
            return self.chat.instance.owner_lid_jid if self.chat.group_jid else self.chat.instance.owner_jid
        return action.author.lid_jid if self.chat.group_jid or self.has_only_lid(action) else action.author.jid

    def mentioned(self, action: ChatAction) -> list[str]:
        """Return the addresses of the people mentioned with an @ in the message."""
        return [person.lid_jid for person in self.chat.people if f"@{person.lid}" in action.text]

    def plain_key(self, action: ChatAction) -> Json:
        """Return the message key without alternative addresses, as past, API-sent and referenced messages have it."""
        key: Json = {"remoteJid": self.jid(action), "fromMe": action.author is None, "id": action.key_id}
        if self.chat.group_jid and action.author:
            key["participant"] = action.author.lid_jid
        return key

    def key(self, action: ChatAction) -> Json:
        """Return the message key of a live message, with the alternative address of its chat or author."""
        key = self.plain_key(action)
        if self.chat.group_jid:
            alternative = {"participantAlt": action.author.jid} if action.author else {}
            return {**key, **alternative, "addressingMode": "lid"}
        if self.has_only_lid(action):
            return {**key, "participant": "", "addressingMode": "lid"}
        person, is_twice = self.chat.person, self.mode == "phone_twice"
        return {
            "remoteJid": key["remoteJid"],
            "remoteJidAlt": person.jid if is_twice else person.lid_jid,
            "fromMe": key["fromMe"],
            "id": key["id"],
            "participant": "",
            "addressingMode": "lid" if is_twice else "pn",
        }
