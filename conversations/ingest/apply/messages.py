"""Merges copies and updates of chat messages into rows; an update whose message has not arrived is kept as pending."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from conversations.db.bulk import new_row
from conversations.evolution import coerce, jid
from conversations.evolution.facts import ME, MessageCopy, MessageUpdate
from conversations.evolution.updates import is_unique_key_id
from conversations.ingest.apply import merge_rules, message_rows
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.message_rows import ChatKey, MessagesByChat
from conversations.ingest.apply.pending_updates import EDITS, who_key
from conversations.ingest.apply.summaries import MessageChanges
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Instance, Message, PendingUpdate

MessageKey = tuple[str, bool]  # identifies a message in one conversation: `key_id`, `from_me`
UpdateKey = tuple[str, str, int, str, str]  # identifies an update: `key_id`, `chat`, `from_me`, `kind`, `subject`
_Fact = MessageCopy | MessageUpdate | PendingUpdate
MAX_ALBUM = 100  # maximum messages of an album; WhatsApp's clients send at most 30, but a sender may choose any number
# Maximum pending updates of one key id, and characters of JSON in them, up to the update that reaches these. A sender
# may choose any number of chats and authors for one key id, and each further update loads them all.
MAX_PENDING = 100
MAX_PENDING_JSON = 2**18
UNKNOWN_AUTHOR = PendingUpdate.FromMe.UNKNOWN
_COPIED = tuple(field.name for field in dataclasses.fields(MessageCopy) if field.name in merge_rules.MERGED_FIELDS)


class MessageBatch:
    """The chat messages of a batch, and the pending updates that may be about one of these messages."""

    def __init__(
        self,
        instance: Instance,
        facts: Iterable[MessageCopy | MessageUpdate],
        pending: Iterable[PendingUpdate],
        contacts: ContactIndex,
        changes: UnitOfWork,
    ) -> None:
        """Load the messages that the facts and the pending updates may be about."""
        self._instance = instance
        self._contacts = contacts
        self._changes = changes
        self._pending = {_update_key(row): row for row in pending}
        self._recounted: set[int] = set()  # primary keys of conversations between which a call was moved
        self._absorbed: list[Message] = []  # stored rows to delete
        known: list[_Fact] = [*facts, *self._pending.values()]
        rows, self._crowded = message_rows.load(instance, {key_id for fact in known for key_id in _key_ids(fact)})
        if self._crowded:
            rows += message_rows.load_in_chats(instance, self._crowded_chats(known))
        self._before = {row: merge_rules.snapshot(row) for row in rows}
        # By key the message of each conversation, because a contact may choose the key id of another conversation.
        self._by_key: defaultdict[MessageKey, dict[int, Message]] = defaultdict(dict)
        for row in self._before:
            self._add(row)
        self._new_pending: list[PendingUpdate] = []
        self._matched: list[int] = []  # primary keys of pending updates to delete

    @property
    def conversations(self) -> set[int]:
        """The primary keys of the loaded messages' conversations."""
        return {row.conversation_id for row in self._rows}

    @property
    def _rows(self) -> Iterator[Message]:
        return (row for rows in self._by_key.values() for row in rows.values())

    @property
    def _new(self) -> Iterator[Message]:
        return (row for row in self._rows if not row.pk)

    def _add(self, row: Message) -> None:
        self._by_key[row.key_id, row.from_me][row.conversation_id] = row

    def _remove(self, row: Message) -> None:
        del self._by_key[row.key_id, row.from_me][row.conversation_id]

    def _crowded_chats(self, facts: Iterable[_Fact]) -> dict[str, set[ChatKey]]:
        """Return the chats that the facts name, by crowded key id."""
        chats: defaultdict[str, set[ChatKey]] = defaultdict(set)
        for fact in facts:
            for key_id in self._crowded & _key_ids(fact):
                chats[key_id] |= self._chats(fact)
        return chats

    def _chats(self, fact: _Fact) -> set[ChatKey]:
        """Return the chats that a fact may be about; none if it names no chat."""
        if isinstance(fact, MessageCopy):
            return {self._contacts.get(fact.chat, fact.ms).pk if fact.chat.is_person else fact.chat.key}
        if not fact.chat:
            return set()
        return {*self._contacts.all_holders(fact.chat)} if jid.is_person_key(fact.chat) else {fact.chat}

    def add_copy(
        self, fact: MessageCopy, conversation: Conversation, conversations: Mapping[int, Conversation]
    ) -> None:
        """Merge a copy of a chat message into the message's row; create the row if it does not exist."""
        row = self._find_call(fact, conversation, conversations) if fact.kind == Message.Kind.CALL else None
        row = row or self._by_key[fact.key_id, fact.from_me].get(conversation.pk)
        sender = self._contacts.get(fact.sender, fact.ms) if fact.sender and fact.sender.is_person else None
        copy = {name: getattr(fact, name) for name in _COPIED}
        copy["sender_id"] = sender and sender.pk
        if row is not None:
            merge_rules.merge_copy(row, copy)
            return
        # Ids instead of objects, because Django is slow to set a related object.
        ids = {"instance_id": self._instance.pk, "conversation_id": conversation.pk}
        self._add(new_row(Message, {**ids, "key_id": fact.key_id, "from_me": fact.from_me, **copy}))

    def _find_call(
        self, fact: MessageCopy, conversation: Conversation, conversations: Mapping[int, Conversation]
    ) -> Message | None:
        """Return the row of a call that another event placed in another chat, or None.

        A call that any event places in a group is the group's, so rows of the call in direct chats are moved there.
        Calls with a crowded key id stay where they are.
        """
        same_key = self._by_key[fact.key_id, fact.from_me]
        if fact.key_id in self._crowded or len(same_key) > message_rows.MAX_SAME_KEY:
            return None
        groups: list[Message] = []
        others: list[Message] = []
        for pk, row in same_key.items():
            if row.kind == fact.kind:
                (groups if conversations[pk].kind == Conversation.Kind.GROUP else others).append(row)
        if conversation.kind != Conversation.Kind.GROUP:
            return groups[0] if groups else None
        target = same_key.get(conversation.pk)
        for row in others:
            if target is None:
                target = row
                self._move(row, conversation)
            else:
                self._absorb(target, row)
        return target

    def _move(self, row: Message, conversation: Conversation) -> None:
        self._recounted |= {row.conversation_id, conversation.pk}
        self._remove(row)
        row.conversation_id = conversation.pk
        self._add(row)
        if row.pk:
            self._changes.mark(row, {"conversation"})

    def _absorb(self, row: Message, other: Message) -> None:
        """Merge a call's row `other` into `row`, and delete `other`."""
        self._recounted |= {row.conversation_id, other.conversation_id}
        merge_rules.merge_messages(row, other)
        self._remove(other)
        if other.pk:
            del self._before[other]
            self._absorbed.append(other)

    def apply_updates(self, facts: Iterable[MessageUpdate], conversations: Mapping[int, Conversation]) -> None:
        """Merge new and pending updates into matching messages; keep the updates that may match more messages later."""
        updates = self._limit_albums(self._merge_with_pending(facts))
        if not updates:
            return
        loaded = MessagesByChat(self._rows, self._crowded, conversations)
        of_albums = MessagesByChat((), (), conversations)
        for update in updates:
            if update.kind == PendingUpdate.Kind.ALBUM:
                for row in self._find(update, update.subject, loaded, conversations):
                    of_albums.add(update.key_id, row, conversations[row.conversation_id])
        unmatched: defaultdict[str, list[PendingUpdate]] = defaultdict(list)
        for update in updates:
            rows = self._find(update, update.key_id, loaded, conversations)
            if update.kind == PendingUpdate.Kind.REACTION:
                rows += self._find(update, update.key_id, of_albums, conversations)
            for row in rows:
                merge_rules.merge_update(row, update, self._author(update))
            if rows and _matches_at_most_one(update):
                self._discard_pending(update)
            else:
                unmatched[update.key_id].append(update)
        for same_key in unmatched.values():
            self._keep_pending(same_key)

    def changes(self) -> dict[int, MessageChanges]:
        """Return new and changed messages by conversation, and record the changed fields in the unit of work."""
        by_conversation: defaultdict[int, MessageChanges] = defaultdict(MessageChanges)
        for row in self._rows:
            merge_rules.limit_statements(row)
        for row in self._new:
            by_conversation[row.conversation_id].new.append(row)
        for row, before in self._before.items():
            if fields := merge_rules.changed_fields(row, before):
                self._changes.mark(row, fields)
                by_conversation[row.conversation_id].changed[row] = fields
        for pk in self._recounted:
            by_conversation[pk].is_recount = True
        return by_conversation

    def save(self) -> None:
        """Write new and changed messages and new pending updates; delete pending updates that found their message.

        Conversations may refer to deleted messages until their summaries are computed.
        """
        # In this order, because another message with the same key may take the place of a deleted or moved one.
        Message.objects.fast_bulk_delete(self._absorbed)
        self._changes.save(Message)
        Message.objects.fast_bulk_create(list(self._new))
        PendingUpdate.objects.bulk_create(self._new_pending, batch_size=500)
        if self._matched:
            PendingUpdate.objects.filter(pk__in=self._matched).delete()

    def _merge_with_pending(self, facts: Iterable[MessageUpdate]) -> list[PendingUpdate]:
        """Return the new and pending updates, but of several updates with the same `UpdateKey` only the winning one."""
        updates = dict(self._pending)
        for fact in facts:
            new = PendingUpdate(instance=self._instance, **dataclasses.asdict(fact))
            key = _update_key(new)
            known = updates.setdefault(key, new)
            if _statement_key(new) <= _statement_key(known):
                continue
            if known.pk:
                self._changes.set(known, rank_or_ms=new.rank_or_ms, value=new.value)
            else:
                updates[key] = new
        return list(updates.values())

    def _limit_albums(self, updates: Iterable[PendingUpdate]) -> list[PendingUpdate]:
        """Return the updates, but of each album only the earliest `MAX_ALBUM` messages.

        Otherwise, each message of an album would cost as much as the album is long.
        """
        albums: defaultdict[tuple[str, str, int], list[PendingUpdate]] = defaultdict(list)
        kept: list[PendingUpdate] = []
        for update in updates:
            is_album = update.kind == PendingUpdate.Kind.ALBUM
            (albums[update.key_id, update.chat, update.from_me] if is_album else kept).append(update)
        for members in albums.values():
            members.sort(key=lambda member: (-member.rank_or_ms, member.subject))
            kept += members[:MAX_ALBUM]
            for member in members[MAX_ALBUM:]:
                self._discard_pending(member)
        return kept

    def _find(
        self, update: PendingUpdate, key_id: str, messages: MessagesByChat, conversations: Mapping[int, Conversation]
    ) -> list[Message]:
        """Return the messages with a key id that an update is about."""
        rows = messages.in_chats(key_id, self._chats(update)) if update.chat else messages.in_any_chat(key_id)
        return [row for row in rows if self._matches(update, row, conversations[row.conversation_id])]

    def _matches(self, update: PendingUpdate, row: Message, conversation: Conversation) -> bool:
        """Return whether an update is about a message with the same key id, in a chat that the update names if any."""
        if update.from_me != UNKNOWN_AUTHOR and bool(update.from_me) != row.from_me:
            return False
        if update.kind == PendingUpdate.Kind.CALL:
            return row.kind == Message.Kind.CALL
        is_edit = update.kind in EDITS
        if is_edit and update.subject and not self._is_author(update.subject, row):
            return False
        # The key ids of our messages are our own, so an acknowledgement without a chat may concern a group, too.
        is_own_status = update.kind == PendingUpdate.Kind.STATUS and update.from_me == PendingUpdate.FromMe.YES
        return bool(update.chat) or is_own_status or conversation.kind == Conversation.Kind.DIRECT

    def _is_author(self, key: str, row: Message) -> bool:
        """Return whether an address key is known to belong to the author of a chat message."""
        if key in self._contacts.own_keys:
            return row.from_me
        return self._contacts.belongs_to(key, row.sender_id)

    def _author(self, update: PendingUpdate) -> str:
        """Return the author of a reaction or a vote: `ME`, `str(contact.pk)`, or the key of an address without contact.

        The last is an address of a bot, for example.
        """
        is_own = update.subject in self._contacts.own_keys
        # The instance's own LID may stand beside the number of a contact, who is then the author.
        subject = who_key(update) if is_own else update.subject
        if subject in self._contacts.own_keys:
            return ME
        contact = self._contacts.find(subject, update.rank_or_ms)
        return str(contact.pk) if contact else subject

    def _keep_pending(self, same_key: list[PendingUpdate]) -> None:
        """Keep the updates of one key id, as many as there is room for.

        The choice does not depend on their order, unless a later update of the same author is shorter.
        """
        same_key.sort(key=_update_key)
        sizes = (len(coerce.canonical_json(update.value)) for update in same_key)
        kept = merge_rules.first_within(MAX_PENDING, MAX_PENDING_JSON, sizes)
        self._new_pending += [update for update in same_key[:kept] if not update.pk]
        for update in same_key[kept:]:
            self._discard_pending(update)

    def _discard_pending(self, update: PendingUpdate) -> None:
        if update.pk:
            self._changes.discard(update)
            self._matched.append(update.pk)


def _key_ids(fact: _Fact) -> set[str]:
    """Return the key ids of the messages that a fact may be about."""
    if not isinstance(fact, MessageCopy) and fact.kind == PendingUpdate.Kind.ALBUM:
        return {fact.key_id, fact.subject}
    return {fact.key_id}


def _update_key(update: PendingUpdate) -> UpdateKey:
    return update.key_id, update.chat, update.from_me, update.kind, update.subject


def _statement_key(update: PendingUpdate) -> tuple[bool, int, bool, str]:
    return merge_rules.statement_key(update.rank_or_ms, update.value)


def _matches_at_most_one(update: PendingUpdate) -> bool:
    """Return whether an update never matches a second message, by its key id or by its chat and direction.

    The update that names an album matches each message of the album.
    """
    is_certain = is_unique_key_id(update.key_id) or (bool(update.chat) and update.from_me != UNKNOWN_AUTHOR)
    return is_certain and update.kind != PendingUpdate.Kind.ALBUM
