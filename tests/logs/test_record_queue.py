"""What waits to be written: bounded, the lowest level goes first, and nobody waits to add to it."""

import logging
import random
import threading

from logs.record_queue import RecordQueue

DEBUG, INFO, WARNING, ERROR, CRITICAL = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL


def record(level: int = INFO, text: str = "") -> logging.LogRecord:
    return logging.LogRecord("whatsai.cache", level, "", 0, text, None, None)


def taken(backlog: RecordQueue) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage()) for one in backlog.drain()[0]]


def test_records_come_out_in_the_order_of_time_whatever_their_levels() -> None:
    backlog = RecordQueue(100)
    for place, level in enumerate((INFO, ERROR, DEBUG, WARNING, INFO)):
        one = record(level, str(place))
        one.created = place
        backlog.put(one)
    assert [text for _, text in taken(backlog)] == ["0", "1", "2", "3", "4"]
    assert taken(backlog) == []


def test_the_lowest_level_goes_first_and_its_oldest_record() -> None:
    backlog = RecordQueue(3)
    for level, text in ((INFO, "a"), (DEBUG, "b"), (DEBUG, "c"), (INFO, "d"), (WARNING, "e"), (INFO, "f")):
        backlog.put(record(level, text))
    assert [text for _, text in taken(backlog)][:3] == ["d", "e", "f"]
    assert backlog.dropped == {DEBUG: 2, INFO: 1}


def test_errors_are_never_dropped() -> None:
    backlog = RecordQueue(3)
    for place in range(50):
        backlog.put(record(WARNING, f"w{place}"))
        backlog.put(record(ERROR, f"e{place}"))
        backlog.put(record(CRITICAL, f"c{place}"))
    found = taken(backlog)
    assert {text for level, text in found if level >= ERROR} == {f"{kind}{n}" for kind in "ec" for n in range(50)}
    assert backlog.dropped == {WARNING: 50}


def test_a_level_between_those_with_a_name_belongs_to_the_next_below() -> None:
    backlog = RecordQueue(1)
    for level in (5, 25, 35, 45):
        backlog.put(record(level))
    assert dict(backlog.dropped) == {5: 1, 25: 1, 35: 1}
    assert [level for level, _ in taken(backlog)][:1] == [45]


def test_what_was_dropped_is_said_once() -> None:
    backlog = RecordQueue(2)
    for level in (DEBUG, INFO, INFO, INFO, INFO):
        backlog.put(record(level))
    said = [text for _, text in taken(backlog) if text]
    assert said == ["Logs DROPPED 1 DEBUG, 2 INFO: too many at once"]
    backlog.put(record(INFO, "more"))
    assert taken(backlog) == [(INFO, "more")]
    for _ in range(3):
        backlog.put(record(INFO))
    assert taken(backlog)[-1] == (WARNING, "Logs DROPPED 1 INFO: too many at once")
    assert backlog.dropped == {DEBUG: 1, INFO: 3}


def test_a_mark_comes_with_everything_that_was_there_before_it() -> None:
    backlog = RecordQueue(10)
    backlog.put(record(text="before"))
    mark = backlog.barrier()
    backlog.put(record(text="after"))
    records, marks = backlog.drain()
    assert [one.getMessage() for one in records] == ["before", "after"]
    assert marks == [mark]
    assert not mark.is_set()


def test_whoever_is_waited_for_cuts_the_lingering_short() -> None:
    backlog = RecordQueue(10)
    backlog.put(record())
    backlog.barrier()
    backlog.wait(batch_delay=threading.TIMEOUT_MAX)


def test_nothing_is_lost_and_nothing_doubled_among_threads() -> None:
    backlog, count, threads = RecordQueue(100_000), 5000, 4

    def put(name: int) -> None:
        for place in range(count):
            backlog.put(record(random.choice((DEBUG, INFO, WARNING, ERROR)), f"{name} {place}"))

    writers = [threading.Thread(target=put, args=(name,)) for name in range(threads)]
    for writer in writers:
        writer.start()
    found: list[str] = []
    while len(found) < count * threads:
        backlog.wait(batch_delay=0.001)
        found += [text for _, text in taken(backlog)]
    for writer in writers:
        writer.join()
    assert sorted(found) == sorted(f"{name} {place}" for name in range(threads) for place in range(count))


def test_among_threads_everything_is_either_there_or_counted() -> None:
    backlog, count, threads = RecordQueue(50), 5000, 4

    def put() -> None:
        for _ in range(count):
            backlog.put(record(random.choice((DEBUG, INFO, WARNING)), "x"))

    writers = [threading.Thread(target=put) for _ in range(threads)]
    for writer in writers:
        writer.start()
    found = 0
    while any(writer.is_alive() for writer in writers):
        found += sum(text == "x" for _, text in taken(backlog))
    found += sum(text == "x" for _, text in taken(backlog))
    assert found + backlog.dropped.total() == count * threads


def test_a_signals_handler_may_log_while_its_thread_is_dropping() -> None:
    backlog = RecordQueue(1)
    with backlog._drop_lock:  # noqa: SLF001 - where the signal comes
        backlog.put(record())
        backlog.put(record())
    assert backlog.dropped.total() == 1
