"""Parsing of the ingestion settings, and the delays between retries of an event."""

import datetime as dt

import pytest
from pytest_django import Settings

from conversations.db.due_times import is_due
from conversations.ingest import conf
from conversations.ingest.conf import MEDIA_LEASE, Options, retry_after
from logs.testing import capture


def test_options_are_read_from_the_setting(settings: Settings) -> None:
    settings.INGEST = {"WINDOW": 2.5}
    assert Options.read() == Options(window=2.5)


def test_retry_delays_grow_up_to_an_hour() -> None:
    delays = [retry_after(attempts) for attempts in range(1, 40)]
    assert delays[0] == dt.timedelta(seconds=2)
    assert delays == sorted(delays)
    assert delays[-1] == dt.timedelta(hours=1)


@pytest.mark.parametrize(
    "options", [Options(), Options(attempts=20), Options(interval=900.0), Options(window=900.0), Options(attempts=1)]
)
def test_only_a_time_further_ahead_than_a_correct_clock_sets_one_is_due(options: Options) -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    waits = [retry_after(attempts) for attempts in range(1, options.attempts)]
    waits += [MEDIA_LEASE, dt.timedelta(seconds=options.interval), dt.timedelta(seconds=options.window)]
    assert not any(is_due(now + wait, now, options.skew_limit) for wait in waits)
    assert is_due(now + 3 * max(waits) + dt.timedelta(hours=1), now, options.skew_limit)


@pytest.mark.parametrize("old", conf.RENAMED)
def test_an_old_name_sets_the_renamed_option_and_logs_one_warning(old: str, settings: Settings) -> None:
    new = conf.RENAMED[old]
    conf._warn_renamed.cache_clear()  # noqa: SLF001 - _warn_renamed warns only once per process
    settings.INGEST = {old: 7}
    with capture() as logged:
        options = Options.read()
        Options.read()
    assert getattr(options, new.lower()) == 7
    assert new in logged.one(context="general", level="WARN", message=old)["message"]


def test_the_new_name_wins_over_the_old_one(settings: Settings) -> None:
    for given in ({"FLOOD": 7.0, "RATE_LIMIT": 8.0}, {"RATE_LIMIT": 8.0, "FLOOD": 7.0}):
        settings.INGEST = given
        assert Options.read().rate_limit == 8


def test_an_unknown_option_is_an_error(settings: Settings) -> None:
    settings.INGEST = {"UNKNOWN": 1}
    with pytest.raises(TypeError, match="unknown"):
        Options.read()
