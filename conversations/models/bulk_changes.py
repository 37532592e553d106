"""Changes many conversations at once, portion by portion in the order of their primary keys.

A portion costs a constant number of queries and reads a bounded part of the table. The primary key of a row never
changes, so a portion begins where the one before ended, although the change makes rows leave the filter. The greatest
primary key of the instances at the beginning is the end, so that new conversations do not keep the work going, and the
cursor tells nothing about other instances.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from cachelayer.orm.managers import MAX_ID
from conversations.models.conversation import Conversation
from conversations.models.conversation_changes import ACTIONS, LABEL_ARGUMENT, Action, Fields
from conversations.models.conversation_filters import ConversationFilters
from conversations.models.instance import Instance
from conversations.models.instance_scoped import Instances
from conversations.models.state_clock import LABEL, StateClock

MAX_ROWS = 500  # rows in one portion
MAX_SPAN = 100_000  # primary keys among which one portion searches


@dataclass(frozen=True)
class Portion:
    """The primary keys of the conversations of one portion, by the outcome of the change.

    Attributes:
        changed: the conversation was changed.
        unchanged: the conversation already had the requested state.
        refused: the instance does not have the label that was to be attached.
        not_found: the filter names the conversation, but does not find it.
        cursor: where the next portion begins; "" after the last one.
    """

    changed: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    not_found: list[int] = field(default_factory=list)
    cursor: str = ""


def change_many(  # noqa: PLR0913 - the arguments are those of a list, and those of an action
    action: str,
    filters: ConversationFilters,
    instances: Instances,
    *,
    argument: Any = None,
    cursor: str = "",
    limit: int = MAX_ROWS,
) -> Portion:
    """Change a portion of the conversations that a filter finds.

    The instances are locked before the conversations, and both in the order of their primary keys, as ingestion locks
    them.

    Args:
        action: a name in `ACTIONS`.
        filters: which conversations are changed.
        instances: one instance, the primary keys of several, or None for all instances.
        argument: the argument of the action, if it has one.
        cursor: the cursor of the portion before; "" for the first one.
        limit: the maximum number of conversations in the portion.
    """
    start, last = _decode(cursor) if cursor else _whole_range(filters, instances)
    end = last if filters.is_small else min(last, start + MAX_SPAN)
    condition = filters.condition(timezone.now())
    with transaction.atomic():
        found = Conversation.objects.scoped_to(instances).filter(condition, pk__gt=start, pk__lte=end)
        pks = list(found.order_by("pk").values_list("pk", "instance_id")[:limit])
        if len(pks) == limit:
            end = pks[-1][0]
        locked = Instance.objects.lock_many({instance_id for _, instance_id in pks})
        rows = list(_locked(found.filter(pk__any_of=[pk for pk, _ in pks])))
        portion = _change(rows, locked, ACTIONS[action], argument)
    named = (pk for pk in filters.ids or () if start < pk <= end)
    portion.not_found.extend(sorted(set(named) - {row.pk for row in rows}))
    return Portion(**{**vars(portion), "cursor": _encode(end, last) if end < last else ""})


def _locked(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Lock rows in the order of their primary keys; those that another write took out of the filter are left out."""
    return Conversation.objects.with_last_order(rows).select_for_update(of=("self",), no_key=True).order_by("pk")


def _change(rows: Iterable[Conversation], instances: Collection[Instance], action: Action, argument: Any) -> Portion:
    """Change locked rows, and write all of them with one statement."""
    portion = Portion()
    arguments = (argument,) if action.argument else ()
    refusing = {one.pk for one in instances if action is ACTIONS["add_label"] and argument not in one.usable_labels}
    accepted, changed, names = [], [], set[str]()
    for row in rows:
        if row.instance_id in refusing and argument not in row.attached_labels:
            portion.refused.append(row.pk)
            continue
        accepted.append(row)
        fields: Fields = action.change(row, *arguments)
        if all(getattr(row, name) == value for name, value in fields.items()):
            portion.unchanged.append(row.pk)
            continue
        for name, value in fields.items():
            setattr(row, name, value)
        names |= fields.keys()
        changed.append(row)
    if action.argument == LABEL_ARGUMENT:
        StateClock.objects.stamp({row.clock_subject: [f"{LABEL}{argument}"] for row in accepted})
    Conversation.objects.fast_bulk_update(changed, {*names, "updated_at"})
    portion.changed.extend(row.pk for row in changed)
    return portion


# --- cursors ----------------------------------------------------------------------------------------------------------
def _whole_range(filters: ConversationFilters, instances: Instances) -> Sequence[int]:
    """Return the last primary key before all rows of some instances that a filter may find, and their last one."""
    if filters.ids:
        return min(filters.ids) - 1, max(filters.ids)
    ends = Conversation.objects.scoped_to(instances).aggregate(first=Min("pk"), last=Max("pk"))
    return ((ends["first"] or 1) - 1, ends["last"] or 0)


def _encode(start: int, last: int) -> str:
    return f"{start}-{last}"


def _decode(cursor: str) -> Sequence[int]:
    return [min(int(number), MAX_ID) for number in cursor.split("-")]
