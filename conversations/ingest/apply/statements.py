"""Rewrites the authors of reactions and votes, when two contacts turn out to be one or to be the instance itself."""

from collections.abc import Iterable, Mapping

from conversations.ingest.apply import merge_rules
from conversations.models import Message

_FIELDS = ("reactions", "poll_results")
_MAX_ROWS = 1000  # maximum messages in memory together


def replace_subjects(statements: Iterable[tuple[str, int]], subjects: Mapping[str, str]) -> None:
    """Give the reactions and votes of some authors to other authors, of whose statements the latest count.

    Args:
        statements: what `Message.objects.statements_of` returned, for these authors and perhaps for more.
        subjects: an author → the author who takes over: `str(contact.pk)`, or `ME`.
    """
    found = sorted({pk for author, pk in statements if author in subjects})
    for start in range(0, len(found), _MAX_ROWS):
        messages = Message.objects.filter(pk__any_of=found[start : start + _MAX_ROWS])
        rows = list(messages.only("instance", "conversation", *_FIELDS))
        for row in rows:
            for name in _FIELDS:
                setattr(row, name, merge_rules.replace_subjects(getattr(row, name), subjects))
        Message.objects.fast_bulk_update(rows, {*_FIELDS, "updated_at"})
