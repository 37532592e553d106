"""Rewrites the authors of reactions and votes, when two contacts turn out to be one or to be the instance itself."""

from collections.abc import Mapping

from conversations.ingest.apply import merge_rules
from conversations.models import Instance, Message

_FIELDS = ("reactions", "poll_results")
_MAX_AUTHORS = 200  # maximum authors of one query, because SQLite compares each of them in an expression of its own


def replace_subjects(instance: Instance, subjects: Mapping[str, str]) -> None:
    """Give the reactions and votes of some authors to other authors, of whose statements the latest count.

    Args:
        instance: the instance whose messages are searched.
        subjects: an author → the author who takes over: `str(contact.pk)`, or `ME`.
    """
    authors = list(subjects)
    for start in range(0, len(authors), _MAX_AUTHORS):
        rows = list(Message.objects.with_statements_of(instance, authors[start : start + _MAX_AUTHORS]))
        for row in rows:
            for name in _FIELDS:
                setattr(row, name, merge_rules.replace_subjects(getattr(row, name), subjects))
        Message.objects.fast_bulk_update(rows, {*_FIELDS, "updated_at"})
