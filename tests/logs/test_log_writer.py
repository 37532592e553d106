"""The writer thread survives all errors, and writes the rest of the queue when it stops."""

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
def short_retry_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "RETRY_DELAY", 0.001)


class Disk:
    """A test double of a disk whose writes block until `accepts` is set, and then raise the given errors."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.errors: list[Exception] = []
        self.accepts = threading.Event()
        self.accepts.set()
        self.was_called = threading.Event()
        self._unwritten: list[str] = []

    def write(self, records: Sequence[logging.LogRecord]) -> None:
        self._unwritten += [record.getMessage() for record in records]
        self.was_called.set()
        self.accepts.wait(WITHIN)
        if self.errors:
            raise self.errors.pop()
        self.written += self._unwritten
        self._unwritten.clear()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def record_queue() -> RecordQueue:
    return RecordQueue(1000)


@pytest.fixture
def running_writer(disk: Disk, record_queue: RecordQueue) -> Iterator[LogWriter]:
    one = LogWriter(record_queue, disk.write)
    assert one.start()
    yield one
    disk.accepts.set()
    assert one.stop()


def put(record_queue: RecordQueue, *texts: str) -> None:
    for text in texts:
        record_queue.put(logging.LogRecord("whatsai.cache", logging.INFO, "", 0, text, None, None))


def test_flush_waits_until_all_records_are_written(
    running_writer: LogWriter, record_queue: RecordQueue, disk: Disk
) -> None:
    put(record_queue, "a", "b")
    assert running_writer.flush()
    assert disk.written == ["a", "b"]


def test_threads_that_log_at_once_start_one_writer(disk: Disk, record_queue: RecordQueue) -> None:
    one, gate = LogWriter(record_queue, disk.write), threading.Barrier(8)

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


def test_records_that_could_not_be_written_are_written_once_later(
    running_writer: LogWriter, record_queue: RecordQueue, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.errors = [OSError(28, "No space left on device") for _ in range(5)]
    put(record_queue, "a", "b")
    assert running_writer.flush(WITHIN)
    assert disk.written == ["a", "b"]
    assert capsys.readouterr().err == "logs: cannot write, trying again: OSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("error", [RuntimeError("a lock"), ValueError("a bug"), MemoryError(), RecursionError()])
def test_no_exception_ends_the_thread(
    error: Exception, running_writer: LogWriter, record_queue: RecordQueue, disk: Disk
) -> None:
    disk.errors = [error]
    put(record_queue, "a")
    assert running_writer.flush(WITHIN)
    put(record_queue, "b")
    assert running_writer.flush(WITHIN)
    assert disk.written == ["a", "b"]


def test_flush_and_stop_time_out_on_a_stalled_disk(
    running_writer: LogWriter, record_queue: RecordQueue, disk: Disk
) -> None:
    disk.accepts.clear()
    put(record_queue, "a")
    assert not running_writer.flush(timeout=0.01)
    assert not running_writer.stop(timeout=0.01)
    assert disk.written == []


def test_a_stopped_writer_finishes_its_current_batch(
    running_writer: LogWriter, record_queue: RecordQueue, disk: Disk
) -> None:
    disk.accepts.clear()
    put(record_queue, "a")
    assert disk.was_called.wait(WITHIN)
    put(record_queue, "left behind")
    assert not running_writer.stop(timeout=0)
    disk.accepts.set()
    assert running_writer.stop()
    assert disk.written == ["a"]
    assert [record.getMessage() for record in record_queue.drain()[0]] == ["left behind"]


def test_stop_ends_the_retries(running_writer: LogWriter, record_queue: RecordQueue, disk: Disk) -> None:
    disk.errors = [OSError("full")] * 1_000_000
    put(record_queue, "a")
    assert disk.was_called.wait(WITHIN)
    assert running_writer.stop()
    assert disk.written == []


def test_a_stopped_writer_does_not_start_again(running_writer: LogWriter) -> None:
    assert running_writer.stop()
    assert not running_writer.start()
    assert running_writer.flush()


def test_a_failed_thread_start_is_tried_again(
    disk: Disk, record_queue: RecordQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = LogWriter(record_queue, disk.write)
    with monkeypatch.context() as limits:
        limits.setattr(threading.Thread, "start", _no_more_threads)
        assert not one.start()
    assert one.start()
    assert one.stop()


def _no_more_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_thread_the_caller_writes_its_record(
    make_handler: MakeHandler, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = make_handler()
    log = logger(handler)
    with monkeypatch.context() as limits:
        limits.setattr(threading.Thread, "start", _no_more_threads)
        log.info("at once")
        assert messages(directory) == ["at once"]
    log.info("later")
    handler.flush()
    assert messages(directory) == ["at once", "later"]


def test_closing_a_handler_under_load_loses_no_record(make_handler: MakeHandler, directory: Path) -> None:
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
