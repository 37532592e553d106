"""What Evolution does with an answer: its retries, as its `webhook.controller` makes them. Pure.

Any 2xx ends it. At 400, 401, 403, 404 and 422 the event is dropped for good. After anything else, a time-out or a
broken connection, it tries again, ten times in all; `Retry-After` is not read.
"""

import enum

ATTEMPTS = 10
TIMEOUT = 30.0  # seconds
_WAITS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0)  # seconds after each failed attempt
_JITTER = 0.2
_DROPPED = frozenset({400, 401, 403, 404, 422})
_DELIVERED = range(200, 400)  # redirects are followed, and count


class RetryDecision(enum.Enum):
    """What comes after an attempt."""

    DELIVERED = enum.auto()
    DROPPED = enum.auto()
    AGAIN = enum.auto()
    GIVEN_UP = enum.auto()


def after(status: int | None, attempt: int) -> RetryDecision:
    """Return what comes after an attempt.

    Args:
        status: the answer's; None where there was none.
        attempt: how many there have been, this one included.
    """
    if status is not None and status in _DELIVERED:
        return RetryDecision.DELIVERED
    if status in _DROPPED:
        return RetryDecision.DROPPED
    return RetryDecision.AGAIN if attempt < ATTEMPTS else RetryDecision.GIVEN_UP


def wait(attempt: int, luck: float) -> float:
    """Return the seconds between a failed attempt and the next one.

    Args:
        attempt: how many there have been.
        luck: from 0 to 1; decides the jitter of ±20 %.
    """
    return _WAITS[attempt - 1] * (1 + _JITTER * (2 * luck - 1))
