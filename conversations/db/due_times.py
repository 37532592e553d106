"""Due times, which hosts write by their own clocks: one too far ahead for a correct clock counts as passed."""

import datetime as dt

from django.db.models import Q


def is_due(at: dt.datetime, now: dt.datetime, skew_limit: dt.timedelta) -> bool:
    """Return whether a due time has passed, or is further ahead than a correct clock sets one."""
    return at <= now or at > now + skew_limit


def due(field: str, now: dt.datetime, skew_limit: dt.timedelta) -> Q:
    """Return the condition that the due time in a field is one for which `is_due` returns true."""
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + skew_limit})
