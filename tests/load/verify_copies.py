"""Compares the copies of the followers with the database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from cachelayer import cache
from conversations.api.change_pages import SERIALIZERS
from conversations.api.serializers.base import EXPAND, FIELDS
from conversations.models import Contact, Conversation, Instance, Message
from tests.load.copies import NOBODY, Key, Rows, text_of
from tests.load.followers import Follower
from tests.load.report import Report

_ROWS: dict[str, Any] = {
    "instance": Instance.objects,
    "contact": Contact.objects,
    "conversation": Conversation.objects,
    "message": Message.objects,
    "participants": Conversation.objects.filter(kind=Conversation.Kind.GROUP),
}
ROWS_AT_ONCE = 1000


def write_last_rows(instances: Sequence[Instance]) -> list[tuple[int, Key]]:
    """Create a contact of each instance, and return each with its instance. Who has it has all changes before it."""
    return [
        (instance.pk, ("contact", Contact.objects.create(instance=instance, jid="last@lid").pk))
        for instance in instances
    ]


def verify_copies(followers: Sequence[Follower], report: Report) -> None:
    """Compare each row of each copy with the database, as the API shows it."""
    truths: defaultdict[int | None, Rows] = defaultdict(dict)
    for key, owner, text in rows_of_database():
        truths[None][key] = truths[owner][key] = owner, text
    for number, follower in enumerate(followers):
        truth = truths[follower.instance]
        report.copies[follower.kind] += 1
        report.copied_rows += len(truth)
        report.resets += follower.resets
        report.reconnects += follower.reconnects
        for resource, pk in follower.copy.wrong(truth):
            there = follower.copy.rows.get((resource, pk)), truth.get((resource, pk))
            report.add("wrong in a copy", f"{follower.kind} {number}: {resource} {pk}: {there}")


def rows_of_database() -> Iterator[tuple[Key, int, str]]:
    """Yield the key, the instance and the text of each row, which the database shows and not the cache."""
    with cache.fresh():
        for resource, rows in _ROWS.items():
            serializer, fields = SERIALIZERS[resource]
            start = 0
            while some := list(rows.filter(pk__gt=start).order_by("pk")[:ROWS_AT_ONCE]):
                start = some[-1].pk
                shown = serializer(some, many=True, context={EXPAND: (), FIELDS: fields}).data
                for row, content in zip(some, shown, strict=True):
                    owner = row.pk if isinstance(row, Instance) else row.instance_id
                    if (text := text_of(resource, content)) != NOBODY:
                        yield (resource, row.pk), owner, text
