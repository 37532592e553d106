"""One process at a time takes a turn."""

import datetime as dt
import threading

import pytest
from django.db import connection
from django.utils import timezone

from conversations.models import Turn
from conversations.monitoring import turns


@pytest.mark.django_db
def test_a_turn_is_taken_once_in_its_time() -> None:
    assert [turns.take("x", 60), turns.take("x", 60), turns.take("y", 60)] == [True, False, True]
    Turn.objects.update(next_at=timezone.now())
    assert turns.take("x", 60)


@pytest.mark.django_db
def test_a_time_that_a_wrong_clock_has_set_is_ignored() -> None:
    Turn.objects.create(name="x", next_at=timezone.now() + dt.timedelta(days=365))
    assert [turns.take("x", 60), turns.take("x", 60)] == [True, False]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_several_processes_one_takes_the_turn() -> None:
    taken: list[bool] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        barrier.wait()
        taken.append(turns.take("x", 60))
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False, False, False, True]
