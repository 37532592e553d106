"""The soak's judgement: which reads are right, which are stale, and which of those have an excuse. And a short soak."""

import subprocess
import sys
from functools import partial
from time import monotonic_ns

import pytest

from tests.soak import lanes
from tests.soak.history import RING, History
from tests.soak.judge import DATABASE, LOCAL, OUTBOX_WITHIN, SECOND, SHARED, Judge, Stale, Why
from tests.soak.report import Report
from tests.soak.rows import FORBIDDEN, INSTANCES, NOBODY, SLOTS, Kind, Rows

WRITER = 0
PATIENCE = 90  # seconds after which a hung process fails its test

ROWS = Rows(range(INSTANCES))
ROW = next(slot for slot in range(SLOTS) if ROWS.kind(slot) is Kind.SHARED)
MORTAL = next(slot for slot in range(SLOTS) if ROWS.kind(slot) is Kind.MORTAL)


class Past(History):
    """A history that is written in one go."""

    def __init__(self) -> None:
        super().__init__(SLOTS)
        for slot in range(SLOTS):
            self.writes(slot, 1)

    def writes(self, slot: int, number: int, *, ends: bool = True) -> None:
        self.opens(WRITER, slot, number)
        self.commits(WRITER, slot, number)
        if ends:
            self.ends(slot, number)

    def loses_now(self, *, by_eviction: bool = False) -> None:
        self.lost(self.loses(by_eviction=by_eviction))

    def judged(self, tier: str, number: int, *, slot: int = ROW, later: int = 0) -> Stale | None:
        """Judge a read that begins now, or ns later, and ends at once."""
        needed, upto = self.needed(slot), self.upto(slot)
        return Judge(self, ROWS).judge(tier, slot, number, needed, upto, monotonic_ns() + later)

    def why(self, tier: str, number: int, *, slot: int = ROW, later: int = 0) -> Why | None:
        stale = self.judged(tier, number, slot=slot, later=later)
        return None if stale is None else stale.why


@pytest.fixture
def past() -> Past:
    return Past()


# --- right ------------------------------------------------------------------------------------------------------------
def test_what_was_committed_when_a_read_began_is_right(past: Past) -> None:
    past.writes(ROW, 2)
    assert past.judged(SHARED, 2) is None


def test_what_was_being_written_while_a_read_lasted_is_right(past: Past) -> None:
    past.writes(ROW, 2)
    past.opens(WRITER, ROW, 3)
    assert past.judged(SHARED, 2) is None
    assert past.judged(SHARED, 3) is None


def test_a_row_that_was_deleted_may_be_absent_and_one_that_was_made_anew_may_not(past: Past) -> None:
    past.writes(MORTAL, 2)
    assert past.judged(SHARED, NOBODY, slot=MORTAL) is None
    past.opens(WRITER, MORTAL, 3)
    assert past.judged(SHARED, NOBODY, slot=MORTAL) is None
    past.commits(WRITER, MORTAL, 3)
    assert past.why(SHARED, NOBODY, slot=MORTAL) is Why.NONE


# --- stale ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tier", [SHARED, DATABASE])
def test_an_older_value_has_no_excuse_though_its_write_has_not_ended(past: Past, tier: str) -> None:
    past.writes(ROW, 2, ends=False)
    found = past.judged(tier, 1)
    assert found is not None
    assert (found.why, found.seen, found.needed) == (Why.NONE, 1, 2)
    assert found.behind is not None
    assert 0 <= found.behind < SECOND


def test_the_local_tier_may_be_behind_by_a_second_and_no_more(past: Past) -> None:
    past.writes(ROW, 2)
    assert past.why(LOCAL, 1) is Why.BEHIND
    assert past.why(LOCAL, 1, later=SECOND) is Why.NONE


def test_what_nobody_has_committed_is_from_nowhere(past: Past) -> None:
    for tier in (LOCAL, SHARED, DATABASE):
        assert past.why(tier, FORBIDDEN) is Why.NOWHERE
        assert past.why(tier, NOBODY) is Why.NOWHERE


# --- excuses ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("by_eviction", "why"), [(False, Why.LOST), (True, Why.EVICTED)])
def test_an_intent_that_was_lost_while_its_write_was_under_way_excuses_until_the_end(
    past: Past, *, by_eviction: bool, why: Why
) -> None:
    past.opens(WRITER, ROW, 2)
    past.loses_now(by_eviction=by_eviction)
    past.commits(WRITER, ROW, 2)
    assert past.why(SHARED, 1) is why
    assert past.why(LOCAL, 1, later=SECOND) is why
    past.ends(ROW, 2)
    assert past.why(SHARED, 1) is Why.NONE


def test_a_writer_that_died_before_the_end_leaves_the_window_open(past: Past) -> None:
    past.opens(WRITER, ROW, 2)
    past.loses_now()
    past.commits(WRITER, ROW, 2)
    assert past.why(SHARED, 1, later=60 * SECOND) is Why.LOST


@pytest.mark.parametrize("is_before", [True, False])
def test_an_intent_that_was_lost_before_the_write_or_after_the_commit_excuses_nothing(
    past: Past, *, is_before: bool
) -> None:
    if is_before:
        past.loses_now()
    past.writes(ROW, 2, ends=False)
    if not is_before:
        past.loses_now()
    assert past.why(SHARED, 1) is Why.NONE


@pytest.mark.parametrize(("alone", "why"), [(False, Why.OUTBOX), (True, Why.ALONE)])
def test_what_is_in_the_outbox_is_told_apart_until_it_is_polled(past: Past, *, alone: bool, why: Why) -> None:
    past.writes(ROW, 2, ends=False)
    past.outboxed(ROW, 2, alone=alone)
    assert past.why(SHARED, 1) is why
    assert why.is_named is alone
    assert past.why(SHARED, 1, later=OUTBOX_WITHIN + 1) is Why.NONE
    past.touched(ROW, since=monotonic_ns())
    assert past.why(SHARED, 1) is Why.NONE


def test_each_write_that_was_missed_needs_an_excuse_of_its_own(past: Past) -> None:
    past.opens(WRITER, ROW, 2)
    past.loses_now()
    past.commits(WRITER, ROW, 2)
    assert past.why(SHARED, 1) is Why.LOST
    past.writes(ROW, 3)
    assert past.why(SHARED, 1) is Why.NONE
    assert past.why(SHARED, 2) is Why.NONE


def test_what_is_too_long_ago_to_be_remembered_has_no_excuse(past: Past) -> None:
    past.loses(by_eviction=True)
    for number in range(2, RING + 3):
        past.writes(ROW, number, ends=False)
    assert past.why(SHARED, RING + 1) is Why.EVICTED
    for tier in (LOCAL, SHARED):
        found = past.judged(tier, 1)
        assert found is not None
        assert (found.why, found.behind) == (Why.NONE, None)


# --- the report -------------------------------------------------------------------------------------------------------
def reported(tier: str = LOCAL, why: Why = Why.BEHIND, **reads: int) -> Report:
    one = {"reads": reads, "rows": {}, "stale": [[tier, why.value, 1]], "behind": [[tier, why.value, [2_500_000]]]}
    return Report([{**one, "details": []}] * 2)


@pytest.mark.parametrize("why", Why)
def test_only_what_was_said_beforehand_may_happen(why: Why) -> None:
    assert reported(SHARED, why).is_stale is (why in (Why.NOWHERE, Why.NONE, Why.OUTBOX))


def test_the_reports_of_all_readers_are_one() -> None:
    lines = reported(local=1000, shared=20, database=3).text().splitlines()
    assert next(line for line in lines if "checked" in line).split()[1:] == ["2,000", "40", "6", "2,046"]
    assert lines[-1].split()[-3:] == ["2.50"] * 3


def test_what_there_was_too_little_of_is_named_and_scales_with_the_duration() -> None:
    report = reported(local=40_000, shared=10_000)
    assert report.missing(6, {"FLUSHALL": 1}, pace=1) == []
    assert report.missing(6, {"FLUSHALL": 0}, pace=1) == ["FLUSHALL"]
    assert report.missing(30, {"FLUSHALL": 9}, pace=1) == ["reads", "reads of the shared tier"]
    assert report.missing(30, {"FLUSHALL": 2}, pace=0.2) == []


# --- the lanes --------------------------------------------------------------------------------------------------------
def test_lanes_go_on_side_by_side_each_when_it_is_due() -> None:
    done: list[str] = []

    def lane(name: str) -> lanes.Steps:
        for step in range(2):
            done.append(f"{name}{step}")
            yield 0.0

    lanes.run([lane("a"), lane("b")], rest=lambda _seconds: None)
    assert sorted(done) == ["a0", "a1", "b0", "b1"]
    assert done.index("b0") < done.index("a1")


def test_what_has_not_begun_when_its_time_is_over_is_left_out() -> None:
    done: list[int] = []

    def job(number: int) -> lanes.Steps:
        done.append(number)
        yield from ()

    def spread(until: int) -> None:
        jobs = [partial(job, number) for number in range(3)]
        lanes.run([lanes.spread(jobs, until, at_once=3, gap=float)], rest=lambda _seconds: None)

    spread(0)
    assert done == []
    spread(2**40)
    assert done == [0, 1, 2]


# --- a short one ------------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_a_short_soak_finds_nothing_stale_and_says_what_it_did() -> None:
    command = [sys.executable, "-m", "tests.soak", "--duration", "2", "--only", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603 - ours
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.terminate()  # and not killed: it ends the servers
        process.wait(PATIENCE)
    assert process.returncode in (0, 2), said  # 2 where a busy machine has not read enough
    counts = dict(line.rsplit(maxsplit=1) for line in said.splitlines() if line.startswith("  "))
    assert int(counts["  writer killed between COMMIT and end"]) > 0
    assert int(counts["  Valkey killed, started without data"]) > 0
