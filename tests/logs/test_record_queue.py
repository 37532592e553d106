"""The queue of log records is bounded, drops records of the lowest level first, and never blocks."""

import logging
import random
import threading

from logs.record_queue import RecordQueue

DEBUG, INFO, WARNING, ERROR, CRITICAL = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL


def record(level: int = INFO, text: str = "") -> logging.LogRecord:
    return logging.LogRecord("whatsai.cache", level, "", 0, text, None, None)


def drained(record_queue: RecordQueue) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage()) for one in record_queue.drain()[0]]


def test_drain_returns_the_records_of_all_levels_by_time() -> None:
    record_queue = RecordQueue(100)
    for place, level in enumerate((INFO, ERROR, DEBUG, WARNING, INFO)):
        one = record(level, str(place))
        one.created = place
        record_queue.put(one)
    assert [text for _, text in drained(record_queue)] == ["0", "1", "2", "3", "4"]
    assert drained(record_queue) == []


def test_a_full_queue_drops_the_oldest_record_of_the_lowest_level() -> None:
    record_queue = RecordQueue(3)
    for level, text in ((INFO, "a"), (DEBUG, "b"), (DEBUG, "c"), (INFO, "d"), (WARNING, "e"), (INFO, "f")):
        record_queue.put(record(level, text))
    assert [text for _, text in drained(record_queue)][:3] == ["d", "e", "f"]
    assert record_queue.dropped == {DEBUG: 2, INFO: 1}


def test_errors_are_never_dropped() -> None:
    record_queue = RecordQueue(3)
    for place in range(50):
        record_queue.put(record(WARNING, f"w{place}"))
        record_queue.put(record(ERROR, f"e{place}"))
        record_queue.put(record(CRITICAL, f"c{place}"))
    found = drained(record_queue)
    assert {text for level, text in found if level >= ERROR} == {f"{kind}{n}" for kind in "ec" for n in range(50)}
    assert record_queue.dropped == {WARNING: 50}


def test_an_unnamed_level_belongs_to_the_band_of_the_next_lower_one() -> None:
    record_queue = RecordQueue(1)
    for level in (5, 25, 35, 45):
        record_queue.put(record(level))
    assert dict(record_queue.dropped) == {5: 1, 25: 1, 35: 1}
    assert [level for level, _ in drained(record_queue)][:1] == [45]


def test_dropped_records_are_reported_once() -> None:
    record_queue = RecordQueue(2)
    for level in (DEBUG, INFO, INFO, INFO, INFO):
        record_queue.put(record(level))
    reports = [text for _, text in drained(record_queue) if text]
    assert reports == ["Logs DROPPED 1 DEBUG, 2 INFO: the queue was full"]
    record_queue.put(record(INFO, "more"))
    assert drained(record_queue) == [(INFO, "more")]
    for _ in range(3):
        record_queue.put(record(INFO))
    assert drained(record_queue)[-1] == (WARNING, "Logs DROPPED 1 INFO: the queue was full")
    assert record_queue.dropped == {DEBUG: 1, INFO: 3}


def test_drain_returns_a_barrier_with_all_records_before_it() -> None:
    record_queue = RecordQueue(10)
    record_queue.put(record(text="before"))
    barrier = record_queue.barrier()
    record_queue.put(record(text="after"))
    records, barriers = record_queue.drain()
    assert [one.getMessage() for one in records] == ["before", "after"]
    assert barriers == [barrier]
    assert not barrier.is_set()


def test_a_barrier_ends_the_batch_delay() -> None:
    record_queue = RecordQueue(10)
    record_queue.put(record())
    record_queue.barrier()
    record_queue.wait(batch_delay=threading.TIMEOUT_MAX)


def test_concurrent_threads_lose_and_duplicate_no_record() -> None:
    record_queue, count, threads = RecordQueue(100_000), 5000, 4

    def put(name: int) -> None:
        for place in range(count):
            record_queue.put(record(random.choice((DEBUG, INFO, WARNING, ERROR)), f"{name} {place}"))

    writers = [threading.Thread(target=put, args=(name,)) for name in range(threads)]
    for writer in writers:
        writer.start()
    found: list[str] = []
    while len(found) < count * threads:
        record_queue.wait(batch_delay=0.001)
        found += [text for _, text in drained(record_queue)]
    for writer in writers:
        writer.join()
    assert sorted(found) == sorted(f"{name} {place}" for name in range(threads) for place in range(count))


def test_with_concurrent_threads_every_record_is_drained_or_counted_as_dropped() -> None:
    record_queue, count, threads = RecordQueue(50), 5000, 4

    def put() -> None:
        for _ in range(count):
            record_queue.put(record(random.choice((DEBUG, INFO, WARNING)), "x"))

    writers = [threading.Thread(target=put) for _ in range(threads)]
    for writer in writers:
        writer.start()
    found = 0
    while any(writer.is_alive() for writer in writers):
        found += sum(text == "x" for _, text in drained(record_queue))
    found += sum(text == "x" for _, text in drained(record_queue))
    assert found + record_queue.dropped.total() == count * threads


def test_a_signal_handler_may_log_while_its_thread_drops_a_record() -> None:
    record_queue = RecordQueue(1)
    with record_queue._drop_lock:  # noqa: SLF001 - a signal handler may run while this lock is held
        record_queue.put(record())
        record_queue.put(record())
    assert record_queue.dropped.total() == 1
