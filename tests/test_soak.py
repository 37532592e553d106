"""Tests which reads the soak test calls correct, which stale, and with what cause; and runs one short soak test."""

import subprocess
import sys
from functools import partial
from time import monotonic_ns

import pytest

from tests.soak import scheduler
from tests.soak.history import KEPT_WRITES, History
from tests.soak.report import Report
from tests.soak.rows import INSTANCES, NO_ROW, ROLLED_BACK, SLOTS, RowKind, Rows
from tests.soak.scheduler import Task
from tests.soak.staleness import (
    DATABASE,
    LOCAL,
    OUTBOX_DELAY,
    SECOND,
    SHARED,
    Cause,
    StalenessChecker,
    StaleRead,
)

WRITER = 0
PROCESS_TIMEOUT = 90  # seconds

ROWS = Rows(range(INSTANCES))
ROW = next(slot for slot in range(SLOTS) if ROWS.kind(slot) is RowKind.SHARED)
RECREATED_ROW = next(slot for slot in range(SLOTS) if ROWS.kind(slot) is RowKind.RECREATED)


class RecordedHistory(History):
    """A history with one write to every row. Its methods record more writes, and intents that the store lost."""

    def __init__(self) -> None:
        super().__init__(SLOTS)
        for slot in range(SLOTS):
            self.record_write(slot, 1)

    def record_write(self, slot: int, number: int, *, has_ended: bool = True) -> None:
        self.record_start(WRITER, slot, number)
        self.record_commit(WRITER, slot, number)
        if has_ended:
            self.record_end(slot, number)

    def record_loss(self, *, by_eviction: bool = False) -> None:
        self.end_loss(self.start_loss(by_eviction=by_eviction))

    def check(self, tier: str, number: int, *, slot: int = ROW, later: int = 0) -> StaleRead | None:
        """Check a read that returns a write number, and that starts and ends `later` ns from now."""
        minimum, maximum = self.last_committed(slot), self.last_started(slot)
        return StalenessChecker(self, ROWS).check(tier, slot, number, minimum, maximum, monotonic_ns() + later)

    def cause(self, tier: str, number: int, *, slot: int = ROW, later: int = 0) -> Cause | None:
        stale = self.check(tier, number, slot=slot, later=later)
        return None if stale is None else stale.cause


@pytest.fixture
def history() -> RecordedHistory:
    return RecordedHistory()


# --- correct reads ----------------------------------------------------------------------------------------------------
def test_the_last_committed_value_is_correct(history: RecordedHistory) -> None:
    history.record_write(ROW, 2)
    assert history.check(SHARED, 2) is None


def test_the_value_of_a_concurrent_write_is_correct(history: RecordedHistory) -> None:
    history.record_write(ROW, 2)
    history.record_start(WRITER, ROW, 3)
    assert history.check(SHARED, 2) is None
    assert history.check(SHARED, 3) is None


def test_a_deleted_row_may_be_missing_until_it_is_inserted_again(history: RecordedHistory) -> None:
    history.record_write(RECREATED_ROW, 2)
    assert history.check(SHARED, NO_ROW, slot=RECREATED_ROW) is None
    history.record_start(WRITER, RECREATED_ROW, 3)
    assert history.check(SHARED, NO_ROW, slot=RECREATED_ROW) is None
    history.record_commit(WRITER, RECREATED_ROW, 3)
    assert history.cause(SHARED, NO_ROW, slot=RECREATED_ROW) is Cause.UNEXPLAINED


# --- stale reads ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tier", [SHARED, DATABASE])
def test_an_older_value_is_unexplained_even_before_the_end_of_the_write(history: RecordedHistory, tier: str) -> None:
    history.record_write(ROW, 2, has_ended=False)
    stale = history.check(tier, 1)
    assert stale is not None
    assert (stale.cause, stale.number, stale.minimum) == (Cause.UNEXPLAINED, 1, 2)
    assert stale.staleness is not None
    assert 0 <= stale.staleness < SECOND


def test_the_local_tier_may_be_stale_for_at_most_a_second(history: RecordedHistory) -> None:
    history.record_write(ROW, 2)
    assert history.cause(LOCAL, 1) is Cause.LOCAL_DELAY
    assert history.cause(LOCAL, 1, later=SECOND) is Cause.UNEXPLAINED


def test_an_uncommitted_value_was_never_written(history: RecordedHistory) -> None:
    for tier in (LOCAL, SHARED, DATABASE):
        assert history.cause(tier, ROLLED_BACK) is Cause.NEVER_WRITTEN
        assert history.cause(tier, NO_ROW) is Cause.NEVER_WRITTEN


# --- causes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("by_eviction", "cause"), [(False, Cause.INTENT_LOST), (True, Cause.INTENT_EVICTED)])
def test_an_intent_lost_during_the_write_explains_stale_reads_until_the_end(
    history: RecordedHistory, *, by_eviction: bool, cause: Cause
) -> None:
    history.record_start(WRITER, ROW, 2)
    history.record_loss(by_eviction=by_eviction)
    history.record_commit(WRITER, ROW, 2)
    assert history.cause(SHARED, 1) is cause
    assert history.cause(LOCAL, 1, later=SECOND) is cause
    history.record_end(ROW, 2)
    assert history.cause(SHARED, 1) is Cause.UNEXPLAINED


def test_a_lost_intent_of_a_killed_writer_explains_stale_reads_without_limit(history: RecordedHistory) -> None:
    history.record_start(WRITER, ROW, 2)
    history.record_loss()
    history.record_commit(WRITER, ROW, 2)
    assert history.cause(SHARED, 1, later=60 * SECOND) is Cause.INTENT_LOST


@pytest.mark.parametrize("is_before", [True, False])
def test_a_loss_before_the_write_or_after_its_commit_explains_nothing(
    history: RecordedHistory, *, is_before: bool
) -> None:
    if is_before:
        history.record_loss()
    history.record_write(ROW, 2, has_ended=False)
    if not is_before:
        history.record_loss()
    assert history.cause(SHARED, 1) is Cause.UNEXPLAINED


@pytest.mark.parametrize(("is_partitioned", "cause"), [(False, Cause.OUTBOX), (True, Cause.PARTITION)])
def test_the_outbox_explains_stale_reads_until_it_is_drained(
    history: RecordedHistory, *, is_partitioned: bool, cause: Cause
) -> None:
    history.record_write(ROW, 2, has_ended=False)
    history.record_outboxed(ROW, 2, is_partitioned=is_partitioned)
    assert history.cause(SHARED, 1) is cause
    assert cause.is_documented is is_partitioned
    assert history.cause(SHARED, 1, later=OUTBOX_DELAY + 1) is Cause.UNEXPLAINED
    history.record_applied(ROW, before=monotonic_ns())
    assert history.cause(SHARED, 1) is Cause.UNEXPLAINED


def test_every_missed_write_needs_a_cause(history: RecordedHistory) -> None:
    history.record_start(WRITER, ROW, 2)
    history.record_loss()
    history.record_commit(WRITER, ROW, 2)
    assert history.cause(SHARED, 1) is Cause.INTENT_LOST
    history.record_write(ROW, 3)
    assert history.cause(SHARED, 1) is Cause.UNEXPLAINED
    assert history.cause(SHARED, 2) is Cause.UNEXPLAINED


def test_an_overwritten_record_explains_nothing(history: RecordedHistory) -> None:
    history.start_loss(by_eviction=True)
    for number in range(2, KEPT_WRITES + 3):
        history.record_write(ROW, number, has_ended=False)
    assert history.cause(SHARED, KEPT_WRITES + 1) is Cause.INTENT_EVICTED
    for tier in (LOCAL, SHARED):
        stale = history.check(tier, 1)
        assert stale is not None
        assert (stale.cause, stale.staleness) == (Cause.UNEXPLAINED, None)


# --- the report -------------------------------------------------------------------------------------------------------
def build_report(tier: str = LOCAL, cause: Cause = Cause.LOCAL_DELAY, **reads: int) -> Report:
    stale, staleness = [[tier, cause.value, 1]], [[tier, cause.value, [2_500_000]]]
    return Report([{"reads": reads, "rows": {}, "stale": stale, "staleness": staleness, "details": []}] * 2)


@pytest.mark.parametrize("cause", Cause)
def test_only_documented_causes_are_accepted(cause: Cause) -> None:
    undocumented = (Cause.NEVER_WRITTEN, Cause.UNEXPLAINED, Cause.OUTBOX)
    assert build_report(SHARED, cause).is_stale is (cause in undocumented)


def test_the_reports_of_all_readers_are_added() -> None:
    lines = build_report(local=1000, shared=20, database=3).text().splitlines()
    assert next(line for line in lines if "checked" in line).split()[1:] == ["2,000", "40", "6", "2,046"]
    assert lines[-1].split()[-3:] == ["2.50"] * 3


def test_too_low_counts_are_named_and_the_minimums_scale_with_the_duration() -> None:
    report = build_report(local=40_000, shared=10_000)
    assert report.missing(6, {"FLUSHALL": 1}, pace=1) == []
    assert report.missing(6, {"FLUSHALL": 0}, pace=1) == ["FLUSHALL"]
    assert report.missing(30, {"FLUSHALL": 9}, pace=1) == ["reads", "reads of the shared tier"]
    assert report.missing(30, {"FLUSHALL": 2}, pace=0.2) == []


# --- the scheduler ----------------------------------------------------------------------------------------------------
def test_the_steps_of_several_tasks_alternate() -> None:
    done: list[str] = []

    def task(name: str) -> Task:
        for step in range(2):
            done.append(f"{name}{step}")
            yield 0.0

    scheduler.run([task("a"), task("b")], sleep=lambda _seconds: None)
    assert sorted(done) == ["a0", "a1", "b0", "b1"]
    assert done.index("b0") < done.index("a1")


def test_jobs_that_have_not_started_at_the_end_are_skipped() -> None:
    done: list[int] = []

    def job(number: int) -> Task:
        done.append(number)
        yield from ()

    def run_jobs(until: int) -> None:
        jobs = [partial(job, number) for number in range(3)]
        task = scheduler.spread_evenly(jobs, until, group_size=3, gap=float)
        scheduler.run([task], sleep=lambda _seconds: None)

    run_jobs(until=0)
    assert done == []
    run_jobs(until=2**40)
    assert done == [0, 1, 2]


# --- a short soak test ------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_a_short_soak_test_finds_no_stale_reads_and_reports_its_faults() -> None:
    command = [sys.executable, "-m", "tests.soak", "--duration", "2", "--only", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603 - the command is constant
    try:
        output, _ = process.communicate(timeout=PROCESS_TIMEOUT)
    finally:
        process.terminate()  # SIGTERM, not SIGKILL, so that the process can stop its servers
        process.wait(PROCESS_TIMEOUT)
    assert process.returncode in (0, 2), output  # status 2: too few reads, because the machine was busy
    counts = dict(line.rsplit(maxsplit=1) for line in output.splitlines() if line.startswith("  "))
    assert int(counts["  writer killed between COMMIT and end"]) > 0
    assert int(counts["  Valkey killed, started without data"]) > 0
