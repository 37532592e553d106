"""Each observation is added to the sums once, by the process that made it, also if the database fails meanwhile."""

import os
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection

from cachelayer.models import HistogramTotal
from cachelayer.ops import histogram_totals
from cachelayer.runtime.histograms import histogram

pytestmark = pytest.mark.django_db

BOUNDS = (0.1, 1.0)
NAME = "test_totals"


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> Iterator[None]:
    histogram_totals.reset_after_fork()
    yield
    histogram_totals.reset_after_fork()


def total(bucket: int) -> int:
    return histogram_totals.totals().get((NAME, "", bucket), 0)


def test_each_observation_is_added_once() -> None:
    histogram(NAME, BOUNDS).observe(0.5)
    histogram_totals.flush()
    histogram(NAME, BOUNDS).observe(0.5)
    histogram_totals.flush()
    histogram_totals.flush()
    assert total(1) == 2


def test_counts_stay_while_the_database_fails() -> None:
    histogram(NAME, BOUNDS).observe(0.01)

    def fail(*_arguments: object) -> None:
        raise DatabaseError

    with connection.execute_wrapper(fail), pytest.raises(DatabaseError):
        histogram_totals.flush()
    assert total(0) == 0
    histogram_totals.flush()
    assert total(0) == 1


@pytest.mark.once
def test_a_forked_child_leaves_the_counts_of_its_parent_to_it() -> None:
    histogram(NAME, BOUNDS).observe(7.0)
    child = os.fork()
    if not child:
        new = {key: value for key, value in histogram_totals.unflushed().items() if key[0] == NAME}
        os._exit(len(new))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    histogram_totals.flush()
    assert total(2) == 1
    assert HistogramTotal.objects.filter(name=NAME, bucket=2).count() == 1
