"""Fills the tables fast, an instance a transaction: `manage.py demo --scale 10000000`."""

from collections.abc import Iterator

from django.db import transaction

from cachelayer import cache
from conversations.demo import bulk_insert, bulk_rows
from conversations.demo.bulk_rows import EACH, IdRanges, Values
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message

NAME = "scale-{:02d}"
MODELS = (Contact, ContactAddress, Conversation, Message)
AT_ONCE = 2000  # conversations; their rows are in memory together


def fill(messages: int) -> Iterator[int]:
    """Add about so many messages, in conversations of twenty instances; yield how many each step has added.

    Who is interrupted keeps whole instances.
    """
    persons = Contact.objects.count()  # those of an earlier time
    for place, conversations in enumerate(bulk_rows.split_across_instances(messages)):
        if conversations:
            numbers = _numbers(conversations, persons)
            with transaction.atomic():
                yield from _instance(NAME.format(place + 1), conversations, numbers)
        persons += conversations
    bulk_insert.analyze(MODELS)


def _numbers(conversations: int, persons: int) -> IdRanges:
    return IdRanges(
        bulk_insert.reserve(Contact, conversations),
        bulk_insert.reserve(Conversation, conversations),
        bulk_insert.reserve(Message, conversations * EACH),
        persons,
    )


def _instance(name: str, conversations: int, first: IdRanges) -> Iterator[int]:
    instance, _ = Instance.objects.get_or_create(name=name)
    bulk_insert.skip_foreign_key_checks()
    rows = bulk_rows.generate_rows(conversations, first)
    while batch := [one for one, _ in zip(rows, range(AT_ONCE), strict=False)]:
        yield _write(instance, batch)
    # Last, so that nobody has to do without the cache for long; none of this can be seen before the commit.
    cache.clear_all()


def _write(instance: Instance, batch: list[Values]) -> int:
    of = {"instance_id": instance.pk}
    messages = [message for one in batch for message in one.messages]
    bulk_insert.write(Contact, of, bulk_rows.CONTACT, [one.contact for one in batch])
    bulk_insert.write(ContactAddress, of, bulk_rows.ADDRESS, [one.address for one in batch])
    of_conversations = of | {"kind": Conversation.Kind.DIRECT.value, "last_message_kind": Message.Kind.TEXT.value}
    bulk_insert.write(Conversation, of_conversations, bulk_rows.CONVERSATION, [one.conversation for one in batch])
    bulk_insert.write(Message, of | {"kind": Message.Kind.TEXT.value}, bulk_rows.MESSAGE, messages)
    return len(messages)
