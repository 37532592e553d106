"""The rules of the alarms: pure functions from the state of the site to what needs a person now.

`RULES` is the policy. A rule that holds raises an alarm; once it has held for its patience, messages are sent, once.
The home page shows what holds now (`conversations.monitoring.attention`).
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _  # translated where people read it, as the log is English

from conversations.models import Instance
from conversations.models.stored_texts import TIME, fill
from conversations.monitoring import details
from conversations.monitoring.details import translate_detail
from conversations.monitoring.state import Number, State, usual_hours

REFUSED_FOR = dt.timedelta(minutes=10)  # how long a refused webhook keeps its alarm
LATE_SECONDS = 120.0
FEED_LAG_SECONDS = 60.0
MISSED_CHECKS = 5  # a regular check that was missed so often has failed
MAX_NAMES = 5  # that one alarm lists

DROPPED = (Instance.State.CLOSED, Instance.State.REFUSED)


class Finding(NamedTuple):
    """What a rule has found: the alarm's kind, the primary key and name of an instance (0 and ""), and words."""

    kind: str
    subject: int = 0
    name: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, as an English sentence without its full stop, for the log."""
        return f"{self.name or 'The site'}: {TITLES.get(self.kind, self.kind)}" + (
            f" ({self.detail})" if self.detail else ""
        )

    @property
    def translated(self) -> str:
        """The sentence in the language that is active."""
        title, detail = gettext(TITLES.get(self.kind, self.kind)), translate_detail(self.detail)
        return f"{self.name or gettext('The site')}: {title}" + (f" ({detail})" if detail else "")


@dataclass(frozen=True)
class Rule:
    """One kind of alarm.

    Attributes:
        kind: the name of the alarm.
        title: what is wrong, in a few English words, which are marked for translation; so is the advice.
        patience: seconds for which the rule must hold before messages are sent; None for no messages.
        find: returns the details that the rule finds, each with the number that it is about or None.
        advice: what to do.
    """

    kind: str
    title: str
    patience: float | None
    find: Callable[[State], Iterable[tuple[Number | None, str]]]
    advice: str


def find_all(state: State) -> list[Finding]:
    """Return everything that needs a person now, in the order of the rules."""
    return [
        Finding(rule.kind, *((number.pk, number.name) if number else (0, "")), detail)
        for rule in RULES
        for number, detail in rule.find(state)
    ]


def _disconnected(state: State) -> Iterator[tuple[Number, str]]:
    for number in state.numbers:
        if number.state in DROPPED or (number.state == Instance.State.CONNECTING and number.was_paired):
            yield number, number.state


def _pairing(state: State) -> Iterator[tuple[Number, str]]:
    for number in state.numbers:
        if number.state == Instance.State.CONNECTING and not number.was_paired:
            yield number, ""


def _silent(state: State) -> Iterator[tuple[Number, str]]:
    for number in state.numbers:
        if number.state not in DROPPED and number.last_event_at is not None and _is_silent(number, state):
            yield number, fill(details.NONE_SINCE, time=f"{number.last_event_at:{TIME}}")


def _is_silent(number: Number, state: State) -> bool:
    hours = state.active_hours.get(number.pk, frozenset())
    return bool(hours) and all(hours & usual for usual in usual_hours(state.at, state.silent_hours))


def _refused(state: State) -> Iterator[tuple[Number, str]]:
    for number in state.numbers:
        if number.refused_at is not None and state.at - number.refused_at < REFUSED_FOR:
            yield number, ""


def _backlog(state: State) -> Iterator[tuple[None, str]]:
    if state.backlog.late > LATE_SECONDS:
        yield None, fill(details.WAITING, count=state.backlog.waiting, seconds=f"{state.backlog.late:.0f}")


def _feed(state: State) -> Iterator[tuple[None, str]]:
    if state.feed_lag > FEED_LAG_SECONDS:
        yield None, fill(details.LAGGING, seconds=f"{state.feed_lag:.0f}")


def _webhooks(state: State) -> Iterator[tuple[None, str]]:
    if state.lost_webhooks:
        yield None, ", ".join(state.lost_webhooks[:MAX_NAMES])


def _cache(state: State) -> Iterator[tuple[None, str]]:
    if not state.is_cache_used:
        yield None, ""


def _check(name: str) -> Callable[[State], Iterator[tuple[None, str]]]:
    def find(state: State) -> Iterator[tuple[None, str]]:
        result, seconds = state.checks.get(name), state.check_seconds.get(name, 0.0)
        if result is None or not seconds:
            return
        if not result.is_ok:
            yield None, result.detail
        elif state.at - result.at > dt.timedelta(seconds=MISSED_CHECKS * seconds):
            yield None, fill(details.NOT_RUN, time=f"{result.at:{TIME}}")

    return find


RULES = (
    Rule(
        "disconnected",
        _("the number is not connected to WhatsApp"),
        60,
        _disconnected,
        _("Open the number in Evolution and connect it again, with a QR code if it asks for one."),
    ),
    Rule(
        "pairing",
        _("the number waits for its QR code"),
        None,
        _pairing,
        _("Scan the QR code of the number with the phone."),
    ),
    Rule(
        "silent",
        _("no events, although there were some at this time on other days"),
        0,
        _silent,
        _("Send a message to the number. If it does not arrive here, look at the webhook in Evolution."),
    ),
    Rule(
        "refused",
        _("webhooks are refused, because their token is missing or wrong"),
        0,
        _refused,
        _("Run manage.py webhook_token for the number, and paste the new token into Evolution."),
    ),
    Rule(
        "backlog",
        _("events wait too long"),
        60,
        _backlog,
        _("Look whether the workers run (manage.py ingest), and start more of them."),
    ),
    Rule(
        "feed",
        _("the change feed is behind"),
        60,
        _feed,
        _("End the transaction that is open in PostgreSQL: see pg_stat_activity."),
    ),
    Rule(
        "webhook",
        _("an outgoing webhook was turned off, because deliveries failed"),
        0,
        _webhooks,
        _("Look at its attempts in the admin, mend the receiver, and turn the webhook on: it continues where it was."),
    ),
    Rule(
        "cache",
        _("the cache is not in use"),
        60,
        _cache,
        _("Look whether Redis runs; reads use the database meanwhile."),
    ),
    Rule(
        "media",
        _("the files of messages cannot be stored"),
        90,  # two checks in a row: a busy bucket may miss one
        _check("media"),
        _("Make room on the disk of MEDIA_DIR, or mend the bucket. Evolution posts again for half an hour."),
    ),
    Rule(
        "probe",
        _("the probe fails"),
        0,
        _check("probe"),
        _("Look at the step that failed: the proxy, the web processes, the workers, Redis."),
    ),
    Rule(
        "audit",
        _("the cache differs from the database"),
        0,
        _check("audit"),
        _("Run manage.py cache_audit to see the entries, and manage.py cache_clear --all to drop all."),
    ),
)
TITLES = {rule.kind: rule.title for rule in RULES}
BY_KIND = {rule.kind: rule for rule in RULES}
