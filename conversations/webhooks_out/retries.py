"""When a delivery that failed is tried again, and when a subscription is turned off. Without I/O."""

import datetime as dt
from typing import NamedTuple

from conversations.webhooks_out import errors

GONE = 410  # the receiver wants no more deliveries (Standard Webhooks)
MAX_FAILING = dt.timedelta(days=1)  # after which a subscription is turned off
MIN_DELAY = 1.0
# Seconds before the next attempt, by the number of failures; the last one is for all further failures.
DELAYS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)
JITTER = 0.2  # the share by which a delay varies, so that receivers that failed together are not asked together


# An attempt that is due further ahead was put off by a host with a wrong clock.
SKEW_LIMIT = dt.timedelta(seconds=2 * DELAYS[-1])


class Outcome(NamedTuple):
    """What came of one attempt.

    Attributes:
        status: the HTTP status; None without an answer.
        error: why the attempt has failed, in plain words; "" if the receiver has confirmed it.
        retry_after: seconds after which the receiver wants to be asked again; None if it has not said so.
    """

    status: int | None
    error: str = ""
    retry_after: float | None = None


class Next(NamedTuple):
    """When a webhook is delivered again after a failure, or why it is turned off.

    Attributes:
        at: when the next attempt is due.
        off_reason: why the subscription is turned off; "" if it stays on.
    """

    at: dt.datetime
    off_reason: str = ""


def after_failure(
    outcome: Outcome, failures: int, failing_since: dt.datetime, now: dt.datetime, variation: float
) -> Next:
    """Decide when to try again.

    Args:
        outcome: the failure.
        failures: how many attempts have failed since the last success, with this one.
        failing_since: when the first of them was.
        now: the present time.
        variation: a random number from -1 to 1.
    """
    if outcome.status == GONE:
        return Next(now, errors.GONE)
    if now - failing_since >= MAX_FAILING:
        return Next(now, errors.FAILED_FOR_A_DAY % {"error": outcome.error})
    delay = DELAYS[min(failures, len(DELAYS)) - 1] * (1 + JITTER * variation)
    if outcome.retry_after is not None:
        delay = min(max(delay, outcome.retry_after), DELAYS[-1])
    return Next(now + dt.timedelta(seconds=max(delay, MIN_DELAY)))
