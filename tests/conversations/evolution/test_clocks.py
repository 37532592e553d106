"""The clock of an Evolution host is held against the moment of receipt, and so are the times that WhatsApp states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.clocks import EARLIEST_ZONE, FAST, HOUR, MINUTE, sent_ms, stated_ms

RECEIVED = 1_772_460_030_000  # 14:00:30 in UTC
DAY = 24 * HOUR
zones = st.integers(-12, 14).map(lambda hours: hours * HOUR)
delays = st.integers(0, 54 * MINUTE)  # Evolution retries for at most 30 minutes


@given(zones, delays)
def test_the_time_of_sending_is_exact_in_every_zone_despite_retries(zone: int, delay: int) -> None:
    assert sent_ms(RECEIVED - delay + zone, RECEIVED) == RECEIVED - delay


@given(st.integers(-13 * HOUR, 100 * 365 * DAY))
def test_a_clock_that_runs_ahead_never_gives_a_time_far_from_the_receipt(ahead: int) -> None:
    assert RECEIVED - HOUR < sent_ms(RECEIVED + ahead, RECEIVED) <= RECEIVED + FAST


@pytest.mark.parametrize("zone", [9 * HOUR, 7 * HOUR, 5 * HOUR + 30 * MINUTE, 0, -3 * HOUR])
def test_a_webhook_that_comes_days_late_is_older_than_what_was_sent_since(zone: int) -> None:
    late = sent_ms(RECEIVED - 2 * DAY + zone, RECEIVED)
    fresh = sent_ms(RECEIVED - 2 * DAY + zone + 1000, RECEIVED - 2 * DAY + 1000)
    assert late < fresh


def test_webhooks_that_come_months_late_keep_their_order() -> None:
    sent = [RECEIVED - 90 * DAY + 3 * second * 1000 for second in range(10_000)]
    estimated = [sent_ms(host_ms, RECEIVED) for host_ms in sent]
    assert estimated == [host_ms - EARLIEST_ZONE for host_ms in sent]


def test_what_a_host_sends_after_a_jump_of_its_clock_is_newer() -> None:
    in_tokyo = sent_ms(RECEIVED + 9 * HOUR, RECEIVED)
    in_sao_paulo = sent_ms(RECEIVED - 3 * HOUR + 1000, RECEIVED + 1000)
    in_2036 = sent_ms(RECEIVED + 10 * 365 * DAY, RECEIVED + 2000)
    right_again = sent_ms(RECEIVED + 3000, RECEIVED + 3000)
    assert in_tokyo < in_sao_paulo < right_again
    assert in_2036 < right_again


def test_the_receipt_counts_if_the_host_states_no_time() -> None:
    assert sent_ms(0, RECEIVED) == RECEIVED
    assert sent_ms(RECEIVED + DAY, None) == RECEIVED + DAY
    assert sent_ms(0, None) == 0


@pytest.mark.parametrize("value", [0, "0", 5, -5, None, True, "NaN", "soon", {"low": -1, "high": 0, "unsigned": True}])
def test_an_impossible_time_is_not_believed(value: object) -> None:
    assert stated_ms(value, RECEIVED) is None


def test_a_stated_time_is_not_after_the_receipt() -> None:
    assert stated_ms(RECEIVED + FAST, RECEIVED) == RECEIVED + FAST
    assert stated_ms(RECEIVED + FAST + 1000, RECEIVED) is None
    assert stated_ms(RECEIVED + DAY, None) == RECEIVED + DAY
    assert stated_ms("2026-03-02T14:00:08.000Z", RECEIVED) == 1_772_460_008_000
