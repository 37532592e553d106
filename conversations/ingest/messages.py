"""Messages and what is said of them: copies joined into rows, updates joined or parked until their message comes."""

import dataclasses
from collections.abc import Iterable, Mapping

from django.db.models import Q

from conversations.evolution import jid
from conversations.evolution.facts import MessageSeen, MessageUpdate
from conversations.ingest import joins
from conversations.ingest.changes import Changes
from conversations.ingest.identity import People
from conversations.ingest.totals import Touched
from conversations.models import Conversation, Instance, Message, ParkedUpdate

Identity = tuple[int, str, bool]
UNSAID = ParkedUpdate.FromMe.UNSAID
_SAID = tuple(field.name for field in dataclasses.fields(MessageSeen) if field.name in joins.JOINED)


def parked_for_keys(instance: Instance, key_ids: Iterable[str]) -> list[ParkedUpdate]:
    """Return what is parked for messages with these key ids."""
    wanted = set(key_ids)
    return list(ParkedUpdate.objects.filter(instance=instance, key_id__in=wanted)) if wanted else []


def parked_for_persons(instance: Instance, keys: Iterable[str]) -> list[ParkedUpdate]:
    """Return what is parked for messages of chats with, or edited by, the persons with these addresses."""
    wanted = set(keys)
    named = Q(chat__in=wanted) | Q(kind=ParkedUpdate.Kind.EDIT, subject__in=wanted)
    return list(ParkedUpdate.objects.filter(named, instance=instance)) if wanted else []


class Messages:
    """The messages that a batch touches, by their identity, and what is parked for them."""

    def __init__(
        self,
        instance: Instance,
        key_ids: Iterable[str],
        parked: Iterable[ParkedUpdate],
        people: People,
        changes: Changes,
    ) -> None:
        """Load the rows of `key_ids`, and those that parked updates may mean."""
        self._instance = instance
        self._people = people
        self._changes = changes
        self._parked = {_name(row): row for row in parked}
        wanted = {*key_ids, *(row.key_id for row in self._parked.values())}
        rows = Message.objects.filter(instance=instance, key_id__in=wanted) if wanted else ()
        self._rows: dict[Identity, Message] = {_identity(row): row for row in rows}
        self._before = {row: joins.snapshot(row) for row in self._rows.values()}
        self._new: list[Message] = []
        self._parking: list[ParkedUpdate] = []  # updates that wait from now on
        self._found: list[int] = []  # parked ones that have found their message

    @property
    def conversations(self) -> set[int]:
        """The primary keys of the loaded rows' conversations."""
        return {row.conversation_id for row in self._rows.values()}

    def see(self, fact: MessageSeen, conversation: Conversation) -> None:
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
        joins.see(row, copy | {"sender_id": sender and sender.pk})

    def tell(self, facts: Iterable[MessageUpdate], chats: Mapping[int, Conversation]) -> None:
        """Join updates, and what was parked, into the rows they mean; park what may still find another row."""
        waiting = self._with_parked(facts)
        by_key_id: dict[str, list[Message]] = {}
        for row in self._rows.values():
            by_key_id.setdefault(row.key_id, []).append(row)
        for update in waiting:
            rows = [row for row in by_key_id.get(update.key_id, ()) if self._means(update, row, chats)]
            for row in rows:
                joins.tell(row, update)
            if rows and _is_exact(update):
                self._unpark(update)
            else:
                self._park(update)

    def touched(self) -> dict[int, Touched]:
        """Return what is new and what has changed, by conversation; note what has changed."""
        touched: dict[int, Touched] = {}
        for row in self._new:
            touched.setdefault(row.conversation_id, Touched()).new.append(row)
        for row, before in self._before.items():
            if fields := joins.differing(row, before):
                self._changes.mark(row, fields)
                touched.setdefault(row.conversation_id, Touched()).changed[row] = fields
        return touched

    def save(self) -> None:
        """Write what is new, what waits from now on, and that other things wait no longer."""
        Message.objects.insert_rows(self._new)
        ParkedUpdate.objects.bulk_create(self._parking, batch_size=500)
        if self._found:
            ParkedUpdate.objects.filter(pk__in=self._found).delete()

    def _with_parked(self, facts: Iterable[MessageUpdate]) -> list[ParkedUpdate]:
        """Join equal updates with one another and with what is parked: of each kind the greatest is left."""
        waiting = dict(self._parked)
        for fact in facts:
            new = ParkedUpdate(instance=self._instance, **dataclasses.asdict(fact))
            known = waiting.setdefault(_name(new), new)
            if joins.rank(new.at, new.value) <= joins.rank(known.at, known.value):
                continue
            if known.pk:
                self._changes.set(known, at=new.at, value=new.value)
            else:
                waiting[_name(new)] = new
        return list(waiting.values())

    def _means(self, update: ParkedUpdate, row: Message, chats: Mapping[int, Conversation]) -> bool:
        if update.from_me != UNSAID and bool(update.from_me) != row.from_me:
            return False
        conversation = chats[row.conversation_id]
        if update.kind == ParkedUpdate.Kind.EDIT and update.subject and not self._is(update.subject, row.sender_id):
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

    def _park(self, update: ParkedUpdate) -> None:
        if not update.pk:
            self._parking.append(update)

    def _unpark(self, update: ParkedUpdate) -> None:
        if update.pk:
            self._changes.forget(update)
            self._found.append(update.pk)


def _identity(row: Message) -> Identity:
    return row.conversation_id, row.key_id, row.from_me


def _name(update: ParkedUpdate) -> tuple[str, str, int, str, str]:
    return update.key_id, update.chat, update.from_me, update.kind, update.subject


def _is_exact(update: ParkedUpdate) -> bool:
    """Whether one message at most can be meant, now or ever."""
    return bool(update.chat) and update.from_me != UNSAID
