"""Batches that compute for long make an instance's next batches smaller, and short ones make them larger again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.ingest.worker import pace, parse
from conversations.ingest.worker.pace import (
    GROWTH,
    MAX_SECONDS,
    MIN_SECONDS,
    MIN_SHARE,
    ROUND_SECONDS,
    Pace,
    max_seconds,
    next_share,
)
from conversations.ingest.worker.parse import ParsedEvent
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.bodies import text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, outcomes, store_all

shares = st.floats(MIN_SHARE, 1.0)


limits = st.floats(MIN_SECONDS, MAX_SECONDS)


@given(share=shares, full_batch=st.floats(1e-6, MIN_SECONDS / MIN_SHARE), limit=limits)
def test_batches_of_equal_events_are_soon_as_large_as_the_time_allows(
    share: float, full_batch: float, limit: float
) -> None:
    for _ in range(10):
        share = next_share(share, full_batch * share, limit)
    assert share == pytest.approx(min(1.0, limit / full_batch))


@given(share=shares, seconds=st.floats(0, 1e6), limit=limits)
def test_a_share_stays_within_its_limits_and_grows_slowly(share: float, seconds: float, limit: float) -> None:
    assert MIN_SHARE <= next_share(share, seconds, limit) <= min(1.0, GROWTH * share)


@pytest.mark.parametrize("ready", [1, 5, 20, 50])
def test_a_round_of_many_busy_instances_soon_takes_as_long_as_one_of_few(
    ready: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = started = 0.0
    monkeypatch.setattr(pace, "thread_time", lambda: clock)
    batches = Pace()
    for _ in range(10):
        started = clock
        for instance in range(ready):
            with batches.batch(instance, ready) as share:
                clock += 4.0 * share
    assert clock - started == pytest.approx(min(ready * MAX_SECONDS, ROUND_SECONDS))


def test_however_many_instances_are_ready_a_batch_may_take_some_time() -> None:
    assert max_seconds(100_000) == MIN_SECONDS


@pytest.mark.django_db
def test_events_that_compute_for_long_get_small_batches_between_which_other_instances_have_their_turn(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seconds = 0.0, MAX_SECONDS / 4
    read = parse.parse

    def parse_slowly(owner: Instance, event: WebhookEvent, *arguments: object) -> ParsedEvent:
        nonlocal clock
        clock += seconds if owner == instance else 0
        return read(owner, event, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(parse, "parse", parse_slowly)
    monkeypatch.setattr(pace, "thread_time", lambda: clock)
    other = Instance.objects.create(name="support")
    worker = Worker(replace(NO_DELAY, batch=64))

    def applied_in_a_round() -> tuple[int, int]:
        """Return how many events of the two instances a round applies, if both have events."""
        store_all(other, text(f"other{clock}"))
        before = outcomes(instance)["stored"]
        worker.round()
        return before - outcomes(instance).get("stored", 0), outcomes(other)["applied"]

    store_all(instance, *texts(128))
    assert [applied_in_a_round() for _ in range(4)] == [(64, 1), (4, 2), (4, 3), (4, 4)]
    seconds = 0.0
    assert [applied_in_a_round()[0] for _ in range(4)] == [4, 8, 16, 24]  # 24 are left
