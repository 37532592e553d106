"""The remembered counters are those that every process shows, one row a minute for a day."""

import pytest
from django.utils import timezone

from cachelayer.ops import histogram_totals, statistics
from cachelayer.runtime.histograms import SLOW, histogram
from conversations.ingest import metrics
from conversations.models import MinuteRecord
from conversations.monitoring import history, reading
from conversations.monitoring.requests import REQUESTS
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db


def test_a_minute_has_one_row_with_the_sums_of_all_processes() -> None:
    instance = an_instance()
    statistics.increment(
        {
            ("messages", "local", "hits"): 5,
            ("messages", "shared", "negatives"): 1,
            ("instances", "shared", "misses"): 2,
            ("events", "", "outages"): 9,
        }
    )
    metrics.add_to_totals({(instance.pk, "messages"): 7, (instance.pk, "failed"): 2, (instance.pk, "refused"): 3})
    before = history.figures_of(reading.read())
    histogram(REQUESTS, SLOW, "inbox 5xx").observe(0.2)
    metrics.lag.observe(0.3)
    histogram_totals.flush()
    for _ in range(2):
        history.remember()
    (row,) = MinuteRecord.objects.all()
    assert (row.messages, row.failed, row.refused) == (7, 2, 3)
    assert (row.cache_hits, row.cache_misses) == (6, 2)
    assert row.errors - before.errors >= 1
    assert sum(row.lags) - sum(before.lags) >= 1
    (found,) = history.load(60)
    assert found == history.figures_of(reading.read())._replace(at=found.at)
    assert 0 <= timezone.now().timestamp() - found.at < 120


def test_a_day_is_kept_and_no_row_of_a_wrong_clock() -> None:
    minute = int(timezone.now().timestamp()) // 60
    values = dict.fromkeys(("messages", "failed", "refused", "errors", "cache_hits", "cache_misses", "waiting"), 0)
    ages = (history.KEPT_MINUTES + 2, history.KEPT_MINUTES - 2, 70, -1000)
    MinuteRecord.objects.bulk_create(MinuteRecord(minute=minute - age, late=0.0, **values) for age in ages)
    history.remember()
    assert set(MinuteRecord.objects.values_list("minute", flat=True)) >= {minute - age for age in ages[1:3]}
    assert MinuteRecord.objects.count() == 3
    assert len(history.load(60)) == 1


def test_nothing_is_remembered_at_first() -> None:
    assert history.load(60) == []
