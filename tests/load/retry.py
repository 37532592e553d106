"""The rules by which the Evolution API retries a webhook, as its `webhook.controller` implements them. Pure functions.

A 2xx status ends the delivery. Evolution drops the event after the statuses 400, 401, 403, 404 and 422. After any other
status, a time-out or a broken connection, Evolution tries again, with up to ten attempts in all. Evolution ignores the
header `Retry-After`.
"""

import enum

MAX_ATTEMPTS = 10
TIMEOUT = 30.0  # seconds for which Evolution waits for a response
_DELAYS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0)  # seconds to wait after each failed attempt
_JITTER = 0.2
_DROPPED = frozenset({400, 401, 403, 404, 422})
_DELIVERED = range(200, 400)  # Evolution's HTTP client follows redirects, so a redirect counts as delivered


class RetryDecision(enum.Enum):
    """What Evolution does after an attempt to post an event."""

    DELIVERED = enum.auto()
    DROPPED = enum.auto()
    RETRY = enum.auto()
    GIVEN_UP = enum.auto()


def decide(status: int | None, attempt: int) -> RetryDecision:
    """Return what Evolution does after an attempt to post an event.

    Args:
        status: the status of the response; None if there was no response.
        attempt: the number of attempts to post the event so far, at least 1.
    """
    if status is not None and status in _DELIVERED:
        return RetryDecision.DELIVERED
    if status in _DROPPED:
        return RetryDecision.DROPPED
    return RetryDecision.RETRY if attempt < MAX_ATTEMPTS else RetryDecision.GIVEN_UP


def delay(attempt: int, random_unit: float) -> float:
    """Return the seconds that Evolution waits between a failed attempt and the next attempt.

    Args:
        attempt: the number of attempts to post the event so far, at least 1.
        random_unit: a random number from 0 to 1, which changes the delay by -20 % to +20 %.
    """
    return _DELAYS[attempt - 1] * (1 + _JITTER * (2 * random_unit - 1))
