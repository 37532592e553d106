"""Evolution's retry rules, as its `webhook.controller` implements them. Pure functions.

A 2xx status ends the delivery. Evolution drops the event after 400, 401, 403, 404 and 422. After any other status, a
time-out or a broken connection it tries again, up to ten attempts in all. It ignores `Retry-After`.
"""

import enum

MAX_ATTEMPTS = 10
TIMEOUT = 30.0  # seconds
_DELAYS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0)  # seconds after each failed attempt
_JITTER = 0.2
_DROPPED = frozenset({400, 401, 403, 404, 422})
_DELIVERED = range(200, 400)  # axios follows redirects, so they count as delivered


class RetryDecision(enum.Enum):
    """Evolution's decision after an attempt."""

    DELIVERED = enum.auto()
    DROPPED = enum.auto()
    RETRY = enum.auto()
    GIVEN_UP = enum.auto()


def decide(status: int | None, attempt: int) -> RetryDecision:
    """Return Evolution's decision after an attempt.

    Args:
        status: the response's status; None if there was no response.
        attempt: the number of attempts so far, at least 1.
    """
    if status is not None and status in _DELIVERED:
        return RetryDecision.DELIVERED
    if status in _DROPPED:
        return RetryDecision.DROPPED
    return RetryDecision.RETRY if attempt < MAX_ATTEMPTS else RetryDecision.GIVEN_UP


def delay(attempt: int, random_unit: float) -> float:
    """Return the seconds between a failed attempt and the next one.

    Args:
        attempt: the number of attempts so far, at least 1.
        random_unit: from 0 to 1; selects the jitter of ±20 %.
    """
    return _DELAYS[attempt - 1] * (1 + _JITTER * (2 * random_unit - 1))
