"""The buckets of time in which messages are indexed."""

import datetime as dt

from conversations.evolution.coerce import EPOCH

DAYS = 32  # days in one bucket, as in migration 0015


def bucket(time: dt.datetime) -> int:
    """Return the number of the bucket of a time."""
    return (time - EPOCH).days // DAYS


def span(window: range) -> tuple[dt.datetime, dt.datetime]:
    """Return the first time of the earliest bucket of a group, and the first time after its latest bucket."""
    return EPOCH + dt.timedelta(days=window[-1] * DAYS), EPOCH + dt.timedelta(days=(window[0] + 1) * DAYS)
