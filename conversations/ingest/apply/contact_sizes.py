"""Counts the rows that refer to contacts. Of contacts that are merged, the one with the most rows is kept.

So a merge moves the fewer rows, and a row that is moved is then among at least twice as many. However often contacts
are merged, no row is moved more often than the number of all rows can be halved.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Count, QuerySet

from conversations.models import ContactAddress, Message, Participant


def contact_sizes(pks: Collection[int], statements: Iterable[tuple[str, int]]) -> Counter[int]:
    """Return the number of rows that a merge of each contact into another one would write.

    Args:
        pks: the primary keys of the contacts.
        statements: the reactions and votes of the contacts, see `Message.objects.statements_of`.
    """
    sizes = Counter(int(author) for author, _ in statements)
    references: list[tuple[QuerySet[Any], str]] = [
        (ContactAddress.objects.all(), "contact"),
        (Participant.objects.all(), "contact"),
        (Message.objects.all(), "sender"),
        (Message.objects.all(), "conversation__contact"),
    ]
    for rows, column in references:
        sizes.update(dict(rows.filter(**{f"{column}__any_of": pks}).values_list(column).annotate(Count("pk"))))
    return sizes
