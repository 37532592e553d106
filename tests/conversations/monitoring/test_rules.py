"""The rules find what needs a person, and nothing else."""

import datetime as dt
from typing import Any

import pytest

from conversations.models import CheckResult
from conversations.monitoring import rules
from conversations.monitoring.backlog import Backlog
from conversations.monitoring.state import Number, State

NOW = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = 24 * HOUR


def kinds(**fields: Any) -> list[str]:
    return [finding.kind for finding in rules.find_all(State(at=NOW, **fields))]


def of_number(state: str = "open", **fields: Any) -> list[str]:
    return kinds(numbers=(Number(1, "sales", state, **fields),))


def test_nothing_is_found_if_all_is_well() -> None:
    assert kinds() == []
    assert of_number(last_event_at=NOW) == []


def test_webhooks_that_were_turned_off_are_named() -> None:
    (found,) = rules.find_all(State(at=NOW, lost_webhooks=("CRM 1", "ERP 2")))

    assert (found.kind, found.detail) == ("webhook", "CRM 1, ERP 2")


@pytest.mark.parametrize(
    ("state", "was_paired", "found"),
    [
        ("open", True, []),
        ("unknown", False, []),
        ("close", True, ["disconnected"]),
        ("close", False, ["disconnected"]),
        ("refused", True, ["disconnected"]),
        ("connecting", True, ["disconnected"]),
        ("connecting", False, ["pairing"]),
    ],
)
def test_a_number_is_missed_once_it_was_connected(state: str, was_paired: bool, found: list[str]) -> None:  # noqa: FBT001 - a parameter of pytest
    assert of_number(state, was_paired=was_paired) == found


def hour(moment: dt.datetime) -> int:
    return int(moment.timestamp()) // 3600


@pytest.mark.parametrize(
    ("active", "is_silent"),
    [
        ([NOW - day * DAY - HOUR for day in (1, 2, 3, 7)], True),
        ([NOW - day * DAY for day in (1, 2, 3, 7)], True),
        ([NOW - day * DAY - 3 * HOUR for day in (1, 2, 3, 7)], False),
        ([NOW - day * DAY - HOUR for day in (1, 2, 3)], False),  # for example a Monday after a closed week-end
        ([NOW - day * DAY - HOUR for day in (1, 3, 7)], False),
        ([], False),
    ],
)
def test_a_number_is_silent_if_it_had_events_at_this_time_on_other_days(
    active: list[dt.datetime],
    is_silent: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    numbers = (Number(1, "sales", "open", last_event_at=NOW - 4 * HOUR),)
    hours = {1: frozenset(map(hour, active))} if active else {}
    found = kinds(numbers=numbers, silent_hours=3, active_hours=hours)
    assert found == (["silent"] if is_silent else [])
    dropped = (numbers[0]._replace(state="close"),)
    assert kinds(numbers=dropped, silent_hours=3, active_hours=hours) == ["disconnected"]


def test_refused_webhooks_are_found_for_ten_minutes() -> None:
    assert of_number(refused_at=NOW - dt.timedelta(minutes=9)) == ["refused"]
    assert of_number(refused_at=NOW - dt.timedelta(minutes=11)) == []


def test_what_is_behind_is_found() -> None:
    assert kinds(backlog=Backlog(500, 121.0, 3)) == ["backlog"]
    assert kinds(feed_lag=61.0) == ["feed"]
    assert kinds(is_cache_used=False) == ["cache"]


@pytest.mark.parametrize(
    ("is_ok", "age", "seconds", "found"),
    [
        (True, 60, 60, []),
        (False, 60, 60, ["probe"]),
        (True, 301, 60, ["probe"]),
        (False, 60, 0, []),
    ],
)
def test_a_check_fails_or_is_missed(is_ok: bool, age: int, seconds: int, found: list[str]) -> None:  # noqa: FBT001 - a parameter of pytest
    result = CheckResult(name="probe", at=NOW - dt.timedelta(seconds=age), is_ok=is_ok)
    assert kinds(checks={"probe": result}, check_seconds={"probe": seconds}) == found


def test_a_finding_is_a_sentence() -> None:
    finding = rules.Finding("disconnected", 1, "sales", "close")
    assert finding.sentence == "sales: the number is not connected to WhatsApp (close)"
    assert rules.Finding("cache").sentence == "The site: the cache is not in use"
