"""Loads the messages with the key ids of a batch, at most a fixed number for each key id and each chat that is named.

The client of a message's sender chooses its key id, so any number of chats may have a message with one key id. While
they are few, all are loaded, because an update may name no chat. Of a *crowded* key id, which too many messages have,
only the messages in the chats that the batch names are loaded.
"""

import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from django.db.models import Q, TextField

from conversations.db.for_each import given, select_for_each
from conversations.evolution import jid
from conversations.models import Conversation, Instance, Message

# Maximum messages of a key id that is not crowded. WhatsApp's key ids are in one chat, or in two while it is not known
# which phone number a LID belongs to.
MAX_SAME_KEY = 16
KEYS_PER_QUERY = 100  # SQLite limits the depth of a condition

ChatKey = int | str  # identifies a chat: the primary key of a direct chat's contact, the address key of any other chat


def chat_key(conversation: Conversation) -> ChatKey:
    """Return the key of a conversation's chat."""
    return conversation.contact_id or jid.key_of(conversation.jid)


def load(instance: Instance, key_ids: Iterable[str]) -> tuple[list[Message], set[str]]:
    """Return all messages whose key id is not crowded, and the crowded key ids.

    If key ids have more than two messages on average, the crowded ones are searched first.
    """
    wanted = list(key_ids)
    if not wanted:
        return [], set()
    limit = 2 * len(wanted) + MAX_SAME_KEY
    messages = Message.objects.filter(instance=instance)
    rows = list(messages.filter(key_id__any_of=wanted)[: limit + 1])
    if len(rows) <= limit:
        counts = Counter(row.key_id for row in rows)
        crowded = {key_id for key_id, count in counts.items() if count > MAX_SAME_KEY}
        return [row for row in rows if row.key_id not in crowded], crowded
    one_too_many = messages.filter(key_id=given("key_id")).values("pk")[MAX_SAME_KEY : MAX_SAME_KEY + 1]
    found = select_for_each({"key_id": TextField()}, ((key_id,) for key_id in wanted), one_too_many)
    crowded = {key_id for key_id, pk in found if pk is not None}
    return list(messages.filter(key_id__any_of={*wanted} - crowded)), crowded


def load_in_chats(instance: Instance, chats: Mapping[str, Collection[ChatKey]]) -> Iterator[Message]:
    """Yield the messages with these key ids that are in one of the chats of their key id."""
    conversations = _conversations(instance, {chat for named in chats.values() for chat in named})
    pairs = {
        key_id: [conversations[chat] for chat in named if chat in conversations] for key_id, named in chats.items()
    }
    conditions = [Q(key_id=key_id, conversation__any_of=pks) for key_id, pks in pairs.items() if pks]
    for start in range(0, len(conditions), KEYS_PER_QUERY):
        is_named = functools.reduce(operator.or_, conditions[start : start + KEYS_PER_QUERY])
        yield from Message.objects.filter(is_named, instance=instance)


def _conversations(instance: Instance, chats: Iterable[ChatKey]) -> dict[ChatKey, int]:
    """Return the primary keys of the conversations of chats."""
    chats = list(chats)
    contacts = [chat for chat in chats if isinstance(chat, int)]
    jids = [jid.jid_of(chat) for chat in chats if isinstance(chat, str)]
    is_wanted = Q(contact__id__any_of=contacts) | Q(jid__any_of=jids, contact=None)
    rows = Conversation.objects.filter(is_wanted, instance=instance).only("pk", "contact_id", "jid")
    return {chat_key(row): row.pk for row in rows}


class MessagesByChat:
    """The loaded messages of a batch by key id, and by key id and chat."""

    def __init__(
        self, rows: Iterable[Message], crowded: Iterable[str], conversations: Mapping[int, Conversation]
    ) -> None:
        self._by_key_id: defaultdict[str, list[Message]] = defaultdict(list)
        self._by_chat: defaultdict[tuple[str, ChatKey], list[Message]] = defaultdict(list)
        for row in rows:
            self.add(row.key_id, row, conversations[row.conversation_id])
        self._crowded = {key_id for key_id, same in self._by_key_id.items() if len(same) > MAX_SAME_KEY}
        self._crowded |= set(crowded)

    def add(self, key_id: str, row: Message, conversation: Conversation) -> None:
        """Add a message under a key id, which may be that of its album."""
        self._by_key_id[key_id].append(row)
        self._by_chat[key_id, chat_key(conversation)].append(row)

    def in_chats(self, key_id: str, chats: Iterable[ChatKey]) -> Iterator[Message]:
        """Yield the messages with a key id in some chats."""
        for chat in chats:
            yield from self._by_chat.get((key_id, chat), ())

    def in_any_chat(self, key_id: str) -> list[Message]:
        """Return the messages with a key id; an empty list if the key id is crowded, as any of them could be meant."""
        return [] if key_id in self._crowded else self._by_key_id.get(key_id, [])
