"""The thread that writes: it outlives every failure, and what it leaves behind when it is stopped is written too."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from logs import log_writer
from logs.log_writer import LogWriter
from logs.record_queue import RecordQueue
from tests.logs.conftest import MakeHandler, logger, messages

WITHIN = 30  # seconds


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "RETRY_DELAY", 0.001)


class Disk:
    """Takes records, unless it is told to refuse, or to stall until it is let go."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.refusals: list[Exception] = []
        self.going = threading.Event()
        self.going.set()
        self.asked = threading.Event()
        self._kept: list[str] = []

    def write(self, records: Sequence[logging.LogRecord]) -> None:
        self._kept += [record.getMessage() for record in records]
        self.asked.set()
        self.going.wait(WITHIN)
        if self.refusals:
            raise self.refusals.pop()
        self.written += self._kept
        self._kept.clear()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def backlog() -> RecordQueue:
    return RecordQueue(1000)


@pytest.fixture
def started(disk: Disk, backlog: RecordQueue) -> Iterator[LogWriter]:
    one = LogWriter(backlog, disk.write)
    assert one.start()
    yield one
    disk.going.set()
    assert one.stop()


def put(backlog: RecordQueue, *texts: str) -> None:
    for text in texts:
        backlog.put(logging.LogRecord("whatsai.cache", logging.INFO, "", 0, text, None, None))


def test_what_is_logged_is_written_when_flushed(started: LogWriter, backlog: RecordQueue, disk: Disk) -> None:
    put(backlog, "a", "b")
    assert started.flush()
    assert disk.written == ["a", "b"]


def test_it_is_started_once_however_many_log_at_first(disk: Disk, backlog: RecordQueue) -> None:
    one, gate = LogWriter(backlog, disk.write), threading.Barrier(8)

    def start() -> None:
        gate.wait()
        assert one.start()

    starters = [threading.Thread(target=start) for _ in range(8)]
    before = threading.active_count()
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert threading.active_count() == before + 1
    assert one.stop()


def test_what_a_disk_refuses_is_written_once_when_it_takes_it(
    started: LogWriter, backlog: RecordQueue, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.refusals = [OSError(28, "No space left on device") for _ in range(5)]
    put(backlog, "a", "b")
    assert started.flush(WITHIN)
    assert disk.written == ["a", "b"]
    assert capsys.readouterr().err == "logs: cannot write, trying again: OSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("error", [RuntimeError("a lock"), ValueError("a bug"), MemoryError(), RecursionError()])
def test_no_failure_ends_it(error: Exception, started: LogWriter, backlog: RecordQueue, disk: Disk) -> None:
    disk.refusals = [error]
    put(backlog, "a")
    assert started.flush(WITHIN)
    put(backlog, "b")
    assert started.flush(WITHIN)
    assert disk.written == ["a", "b"]


def test_nobody_waits_for_ever_for_a_disk_that_stalls(started: LogWriter, backlog: RecordQueue, disk: Disk) -> None:
    disk.going.clear()
    put(backlog, "a")
    assert not started.flush(timeout=0.01)
    assert not started.stop(timeout=0.01)
    assert disk.written == []


def test_it_writes_what_it_has_in_hand_when_it_is_stopped(started: LogWriter, backlog: RecordQueue, disk: Disk) -> None:
    disk.going.clear()
    put(backlog, "a")
    assert disk.asked.wait(WITHIN)
    put(backlog, "left behind")
    assert not started.stop(timeout=0)
    disk.going.set()
    assert started.stop()
    assert disk.written == ["a"]
    assert [record.getMessage() for record in backlog.drain()[0]] == ["left behind"]


def test_a_disk_that_refuses_to_the_end_is_given_up(started: LogWriter, backlog: RecordQueue, disk: Disk) -> None:
    disk.refusals = [OSError("full")] * 1_000_000
    put(backlog, "a")
    assert disk.asked.wait(WITHIN)
    assert started.stop()
    assert disk.written == []


def test_once_stopped_it_does_not_start_again(started: LogWriter) -> None:
    assert started.stop()
    assert not started.start()
    assert started.flush()


def test_a_thread_that_cannot_be_had_is_tried_again(
    disk: Disk, backlog: RecordQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = LogWriter(backlog, disk.write)
    with monkeypatch.context() as limits:
        limits.setattr(threading.Thread, "start", _no_more)
        assert not one.start()
    assert one.start()
    assert one.stop()


def _no_more(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_thread_whoever_logs_writes(
    make_handler: MakeHandler, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = make_handler()
    log = logger(handler)
    with monkeypatch.context() as limits:
        limits.setattr(threading.Thread, "start", _no_more)
        log.info("at once")
        assert messages(directory) == ["at once"]
    log.info("later")
    handler.flush()
    assert messages(directory) == ["at once", "later"]


def test_nothing_is_lost_while_a_handler_is_closed_under_load(make_handler: MakeHandler, directory: Path) -> None:
    handler, count, threads = make_handler(capacity=1_000_000), 1500, 4
    log, half = logger(handler), threading.Barrier(threads + 1)

    def write(name: int) -> None:
        for place in range(count):
            if place == count // 2:
                half.wait()
            log.info("%d %d", name, place)

    writers = [threading.Thread(target=write, args=(name,)) for name in range(threads)]
    for writer in writers:
        writer.start()
    half.wait()
    handler.close()
    for writer in writers:
        writer.join()
    expected = [f"{name} {place}" for name in range(threads) for place in range(count)]
    assert sorted(messages(directory)) == sorted(expected)
