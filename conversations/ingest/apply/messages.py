"""Messages and what is said of them: copies joined into rows, updates joined or parked until their message comes."""

import dataclasses
from collections.abc import Iterable, Mapping

from django.db.models import Q

from conversations.evolution import jid
from conversations.evolution.facts import MessageCopy, MessageUpdate
from conversations.ingest.apply import merge_rules
from conversations.ingest.apply.identity import ContactIndex
from conversations.ingest.apply.summaries import MessageChanges
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Instance, Message, PendingUpdate

Identity = tuple[int, str, bool]
UNKNOWN_AUTHOR = PendingUpdate.FromMe.UNKNOWN
_SAID = tuple(field.name for field in dataclasses.fields(MessageCopy) if field.name in merge_rules.MERGED_FIELDS)


def pending_for_keys(instance: Instance, key_ids: Iterable[str]) -> list[PendingUpdate]:
    """Return what is parked for messages with these key ids."""
    wanted = set(key_ids)
    return list(PendingUpdate.objects.filter(instance=instance, key_id__in=wanted)) if wanted else []


def pending_for_contacts(instance: Instance, keys: Iterable[str]) -> list[PendingUpdate]:
    """Return what is parked for messages of chats with, or edited by, the persons with these addresses."""
    wanted = set(keys)
    named = Q(chat__in=wanted) | Q(kind=PendingUpdate.Kind.EDIT, subject__in=wanted)
    return list(PendingUpdate.objects.filter(named, instance=instance)) if wanted else []


class MessageBatch:
    """The messages that a batch touches, by their identity, and what is parked for them."""

    def __init__(
        self,
        instance: Instance,
        key_ids: Iterable[str],
        parked: Iterable[PendingUpdate],
        people: ContactIndex,
        changes: UnitOfWork,
    ) -> None:
        """Load the rows of `key_ids`, and those that parked updates may mean."""
        self._instance = instance
        self._people = people
        self._changes = changes
        self._parked = {_name(row): row for row in parked}
        wanted = {*key_ids, *(row.key_id for row in self._parked.values())}
        rows = Message.objects.filter(instance=instance, key_id__in=wanted) if wanted else ()
        self._rows: dict[Identity, Message] = {_identity(row): row for row in rows}
        self._before = {row: merge_rules.snapshot(row) for row in self._rows.values()}
        self._new: list[Message] = []
        self._parking: list[PendingUpdate] = []  # updates that wait from now on
        self._found: list[int] = []  # parked ones that have found their message

    @property
    def conversations(self) -> set[int]:
        """The primary keys of the loaded rows' conversations."""
        return {row.conversation_id for row in self._rows.values()}

    def add_copy(self, fact: MessageCopy, conversation: Conversation) -> None:
        """Join one copy of a message into its row, made if need be."""
        identity = (conversation.pk, fact.key_id, fact.from_me)
        row = self._rows.get(identity)
        if row is None:
            row = Message(
                instance=self._instance,
                conversation=conversation,
                key_id=fact.key_id,
                from_me=fact.from_me,
                timestamp=fact.timestamp,
            )
            self._rows[identity] = row
            self._new.append(row)
        sender = self._people.get(fact.sender) if fact.sender and fact.sender.is_person else None
        copy = {name: getattr(fact, name) for name in _SAID}
        merge_rules.merge_copy(row, copy | {"sender_id": sender and sender.pk})

    def apply_updates(self, facts: Iterable[MessageUpdate], chats: Mapping[int, Conversation]) -> None:
        """Join updates, and what was parked, into the rows they mean; park what may still find another row."""
        waiting = self._with_parked(facts)
        by_key_id: dict[str, list[Message]] = {}
        for row in self._rows.values():
            by_key_id.setdefault(row.key_id, []).append(row)
        for update in waiting:
            rows = [row for row in by_key_id.get(update.key_id, ()) if self._matches(update, row, chats)]
            for row in rows:
                merge_rules.merge_update(row, update)
            if rows and _is_exact(update):
                self._unpark(update)
            else:
                self._park(update)

    def changes(self) -> dict[int, MessageChanges]:
        """Return what is new and what has changed, by conversation; note what has changed."""
        touched: dict[int, MessageChanges] = {}
        for row in self._new:
            touched.setdefault(row.conversation_id, MessageChanges()).new.append(row)
        for row, before in self._before.items():
            if fields := merge_rules.changed_fields(row, before):
                self._changes.mark(row, fields)
                touched.setdefault(row.conversation_id, MessageChanges()).changed[row] = fields
        return touched

    def save(self) -> None:
        """Write what is new, what waits from now on, and that other things wait no longer."""
        Message.objects.fast_bulk_create(self._new)
        PendingUpdate.objects.bulk_create(self._parking, batch_size=500)
        if self._found:
            PendingUpdate.objects.filter(pk__in=self._found).delete()

    def _with_parked(self, facts: Iterable[MessageUpdate]) -> list[PendingUpdate]:
        """Join equal updates with one another and with what is parked: of each kind the greatest is left."""
        waiting = dict(self._parked)
        for fact in facts:
            new = PendingUpdate(instance=self._instance, **dataclasses.asdict(fact))
            known = waiting.setdefault(_name(new), new)
            if merge_rules.statement_key(new.rank_or_ms, new.value) <= merge_rules.statement_key(known.rank_or_ms, known.value):
                continue
            if known.pk:
                self._changes.set(known, at=new.rank_or_ms, value=new.value)
            else:
                waiting[_name(new)] = new
        return list(waiting.values())

    def _matches(self, update: PendingUpdate, row: Message, chats: Mapping[int, Conversation]) -> bool:
        if update.from_me != UNKNOWN_AUTHOR and bool(update.from_me) != row.from_me:
            return False
        conversation = chats[row.conversation_id]
        if update.kind == PendingUpdate.Kind.EDIT and update.subject and not self._is(update.subject, row.sender_id):
            return False
        if not update.chat:
            return conversation.kind == Conversation.Kind.DIRECT
        if jid.is_person_key(update.chat):
            return self._is(update.chat, conversation.contact_id)
        address = jid.parse(conversation.jid)
        return address is not None and address.key == update.chat

    def _is(self, key: str, contact_id: int | None) -> bool:
        """Whether an address is that contact's, as far as is known."""
        contact = self._people.contacts.get(key)
        return contact is not None and contact.pk == contact_id

    def _park(self, update: PendingUpdate) -> None:
        if not update.pk:
            self._parking.append(update)

    def _unpark(self, update: PendingUpdate) -> None:
        if update.pk:
            self._changes.discard(update)
            self._found.append(update.pk)


def _identity(row: Message) -> Identity:
    return row.conversation_id, row.key_id, row.from_me


def _name(update: PendingUpdate) -> tuple[str, str, int, str, str]:
    return update.key_id, update.chat, update.from_me, update.kind, update.subject


def _is_exact(update: PendingUpdate) -> bool:
    """Whether one message at most can be meant, now or ever."""
    return bool(update.chat) and update.from_me != UNKNOWN_AUTHOR
