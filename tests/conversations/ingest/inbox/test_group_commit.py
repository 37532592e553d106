"""Group commit writes the rows of concurrent callers together; a faulty row raises an error only in its caller."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError

from conversations.ingest.inbox import group_commit
from conversations.ingest.inbox.group_commit import GroupCommit
from tests.waiting import TIMEOUT


class FakeTable:
    """A table that records writes; a write blocks until `may_continue` is set, and then calls `check`."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.has_begun, self.may_continue = threading.Event(), threading.Event()
        self.check: Callable[[Sequence[str]], None] = lambda _rows: None

    def write(self, rows: Sequence[str]) -> None:
        self.has_begun.set()
        assert self.may_continue.wait(TIMEOUT)
        self.check(rows)
        self.writes.append(list(rows))


def write_concurrently(table: FakeTable, *calls: Sequence[str]) -> list["Future[None]"]:
    """Call `GroupCommit.write` in threads: the later calls arrive, in order, while the first call writes."""
    group = GroupCommit(table.write)
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(group.write, calls[0])]
        assert table.has_begun.wait(TIMEOUT)
        for count, call in enumerate(calls[1:], start=1):
            futures.append(threads.submit(group.write, call))
            while len(group._queue) < count:  # noqa: SLF001 - the test waits until the call is queued
                time.sleep(0.001)
        table.may_continue.set()
    return futures


def test_callers_that_arrive_during_a_write_are_written_together() -> None:
    table = FakeTable()
    futures = write_concurrently(table, "a", "b", "cd", "e")
    assert [future.exception() for future in futures] == [None] * 4
    assert table.writes == [["a"], ["b", "c", "d", "e"]]


def test_one_write_has_a_limited_number_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_CALLERS", 2)
    table = FakeTable()
    write_concurrently(table, "a", "b", "c", "d", "e", "f")
    assert table.writes == [["a"], ["b", "c"], ["d", "e"], ["f"]]


def test_an_error_is_raised_only_in_the_caller_whose_rows_cause_it() -> None:
    table = FakeTable()

    def reject_x(rows: Sequence[str]) -> None:
        if "x" in rows:
            raise ValueError("x")

    table.check = reject_x
    futures = write_concurrently(table, "a", "b", "x", "c")
    assert [str(future.exception() or "") for future in futures] == ["", "", "x", ""]
    assert sorted(row for rows in table.writes for row in rows) == ["a", "b", "c"]


@pytest.mark.django_db
def test_an_unavailable_database_is_tried_once_for_all_callers() -> None:
    table, attempts = FakeTable(), []

    def fail(rows: Sequence[str]) -> None:
        attempts.append(rows)
        error = OperationalError("the disk is full")
        error.__cause__ = DiskFull()
        raise error

    table.check = fail
    futures = write_concurrently(table, "a", "b", "c")
    assert all(isinstance(future.exception(), OperationalError) for future in futures)
    assert [len(rows) for rows in attempts] == [1, 2]


class DiskFull(Exception):
    sqlstate = "53100"
