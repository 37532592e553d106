"""What several threads want written is written at once; each of them hears of its own faults, and only of those."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError

from conversations.ingest.inbox import group_commit
from conversations.ingest.inbox.group_commit import GroupCommit

WITHIN = 20.0  # seconds


class Table:
    """What is written; writing waits until it may go on."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.began, self.may_go_on = threading.Event(), threading.Event()
        self.refuse: Callable[[Sequence[str]], None] = lambda _rows: None

    def write(self, rows: Sequence[str]) -> None:
        self.began.set()
        assert self.may_go_on.wait(WITHIN)
        self.refuse(rows)
        self.writes.append(list(rows))


def all_at_once(table: Table, *calls: Sequence[str]) -> list["Future[None]"]:
    """Let the first call be written, and all others come meanwhile."""
    group = GroupCommit(table.write)
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(group.write, calls[0])]
        assert table.began.wait(WITHIN)
        for place, call in enumerate(calls[1:], start=1):
            futures.append(threads.submit(group.write, call))
            while len(group._waiting) < place:  # noqa: SLF001 - so that they come in order
                pass
        table.may_go_on.set()
    return futures


def test_those_who_come_meanwhile_are_written_together() -> None:
    table = Table()
    futures = all_at_once(table, "a", "b", "cd", "e")
    assert [future.exception() for future in futures] == [None] * 4
    assert table.writes == [["a"], ["b", "c", "d", "e"]]


def test_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_CALLERS", 2)
    table = Table()
    all_at_once(table, "a", "b", "c", "d", "e", "f")
    assert table.writes == [["a"], ["b", "c"], ["d", "e"], ["f"]]


def test_a_fault_is_its_own_caller_s() -> None:
    table = Table()

    def refuse(rows: Sequence[str]) -> None:
        if "x" in rows:
            raise ValueError("x")

    table.refuse = refuse
    futures = all_at_once(table, "a", "b", "x", "c")
    assert [str(future.exception() or "") for future in futures] == ["", "", "x", ""]
    assert sorted(row for rows in table.writes for row in rows) == ["a", "b", "c"]


@pytest.mark.django_db
def test_a_database_that_cannot_work_is_asked_once_for_all() -> None:
    table, asked = Table(), []

    def refuse(rows: Sequence[str]) -> None:
        asked.append(rows)
        error = OperationalError("the disk is full")
        error.__cause__ = Full()
        raise error

    table.refuse = refuse
    futures = all_at_once(table, "a", "b", "c")
    assert all(isinstance(future.exception(), OperationalError) for future in futures)
    assert [len(rows) for rows in asked] == [1, 2]


class Full(Exception):
    sqlstate = "53100"
