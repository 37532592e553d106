"""Decides which clocks are believed; every clock is held against the moment of receipt, which this server measures.

The `date_time` of an event is the local time of the Evolution host, marked as UTC. The host's zone is unknown, differs
between hosts and changes with daylight saving time. So only the minutes and seconds are believed, not the hour. The
result is exact for an event that arrives within the hour, which includes all retries of Evolution. The error is at most
one hour otherwise. Two cases differ:

* A clock more than `LATEST_ZONE` behind the receipt belongs to a webhook that came late, such as one that an operator
  posts again after months. It counts from the earliest time that its clock can mean, so it never beats newer events.
* A clock further ahead of the receipt than any time zone is wrong. The receipt counts instead.

A time that WhatsApp states, such as that of a message, is true UTC. It is not believed if it is after the receipt, or
before WhatsApp existed.

All times are milliseconds since the epoch, in UTC.
"""

from conversations.evolution import coerce

MINUTE = 60_000
HOUR = 60 * MINUTE
FAST = 5 * MINUTE  # by how much a clock may be ahead of this server's clock
EARLIEST_ZONE = 14 * HOUR  # the time zone with the largest offset from UTC is UTC+14
LATEST_ZONE = 13 * HOUR  # the time zone with the smallest offset is UTC-12; one hour is left for retries
FIRST_MESSAGE = 1_230_768_000_000  # 2009, the year in which WhatsApp appeared


def sent_ms(host_ms: int, received_ms: int | None) -> int:
    """Estimate when an event was sent.

    Args:
        host_ms: the event's `date_time`, read as UTC; 0 if missing.
        received_ms: the moment of receipt; None if unknown, which makes `host_ms` believed.

    >>> received = 1_772_460_000_000  # 14:00
    >>> sent_ms(received + 9 * HOUR - 2000, received) == received - 2000  # a host in Tokyo
    True
    """
    if received_ms is None or not host_ms:
        return received_ms or host_ms
    lag = received_ms - host_ms
    if lag > LATEST_ZONE:
        return host_ms - EARLIEST_ZONE
    if lag < -EARLIEST_ZONE - FAST:
        return received_ms - FAST  # so that this event does not beat one with a believed clock that follows at once
    return received_ms + FAST - (lag + FAST) % HOUR


def stated_ms(value: object, received_ms: int | None) -> int | None:
    """Convert a time stated by WhatsApp; None if it is no time, before `FIRST_MESSAGE` or after the receipt.

    Args:
        value: any JSON value that `coerce.epoch_ms` accepts.
        received_ms: the moment of receipt; None if unknown, which lets any later time pass.
    """
    ms = coerce.epoch_ms(value)
    if ms is None or ms < FIRST_MESSAGE or (received_ms is not None and ms > received_ms + FAST):
        return None
    return ms
