"""Batches that compute for long make an instance's next batches smaller, and short ones make them larger again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.ingest.worker import pace, parse
from conversations.ingest.worker.pace import GROWTH, MAX_SECONDS, MIN_SHARE, next_share
from conversations.ingest.worker.parse import ParsedEvent
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.bodies import text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, outcomes, store_all

shares = st.floats(MIN_SHARE, 1.0)


@given(share=shares, full_batch=st.floats(1e-6, MAX_SECONDS / MIN_SHARE))
def test_batches_of_equal_events_are_soon_as_large_as_the_time_allows(share: float, full_batch: float) -> None:
    for _ in range(10):
        share = next_share(share, seconds=full_batch * share)
    assert share == pytest.approx(min(1.0, MAX_SECONDS / full_batch))


@given(share=shares, seconds=st.floats(0, 1e6))
def test_a_share_stays_within_its_limits_and_grows_slowly(share: float, seconds: float) -> None:
    assert MIN_SHARE <= next_share(share, seconds) <= min(1.0, GROWTH * share)


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
