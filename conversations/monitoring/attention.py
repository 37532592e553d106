"""What needs a person now, for the home page. It asks the rules directly, so that it is never behind."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from conversations.models import Alarm
from conversations.monitoring import rules, state
from conversations.monitoring.details import translate_detail
from conversations.monitoring.rules import BY_KIND
from conversations.monitoring.state import State


@dataclass(frozen=True)
class Need:
    """Something that needs a person.

    Attributes:
        kind: the name of a rule.
        instance_id: the primary key of an instance; None for the whole site.
        name: the name of the instance, or "".
        title: what is wrong, in a few words.
        detail: what was found, in words, or "".
        advice: what to do.
        since: when it began, as far as it is known.
    """

    kind: str
    instance_id: int | None
    name: str
    title: str
    detail: str
    advice: str
    since: dt.datetime


def needs(instances: Collection[int] | None = None, present: State | None = None) -> list[Need]:
    """Return what needs a person now, the most urgent first.

    Args:
        instances: the primary keys of the instances that the reader may see; None for all, and for the site itself.
        present: the state of the site, if the caller has read it.
    """
    present = present or state.read()
    open_alarms = Alarm.objects.filter(ended_at=None).values_list("kind", "subject", "since")
    since = {(kind, subject): at for kind, subject, at in open_alarms}
    return [
        Need(
            finding.kind,
            finding.subject or None,
            finding.name,
            BY_KIND[finding.kind].title,
            translate_detail(finding.detail),
            BY_KIND[finding.kind].advice,
            since.get((finding.kind, finding.subject), present.at),
        )
        for finding in rules.find_all(present)
        if instances is None or finding.subject in instances
    ]
