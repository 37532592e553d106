"""The log handler copies the values of each record immediately, and no logged value raises an error in the caller."""

import datetime as dt
import decimal
import io
import json
import logging
import math
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest

from logs import handler as handler_module
from logs.binding import bound
from logs.handler import ServiceHandler
from tests.logs.conftest import Line, MakeHandler, lines, logger, messages, throw
from tests.waiting import TIMEOUT


@pytest.fixture
def handler(make_handler: MakeHandler) -> ServiceHandler:
    return make_handler()


@pytest.fixture
def log(handler: ServiceHandler) -> logging.Logger:
    return logger(handler)


def only(handler: ServiceHandler, directory: Path, name: str = "cache.log") -> Line:
    handler.flush()
    (line,) = lines(directory, name)
    return line


# --- a snapshot -------------------------------------------------------------------------------------------------------
def test_a_record_keeps_the_values_of_the_moment_it_was_logged(
    handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    class Mutable:
        state = "before"

        def __str__(self) -> str:
            return self.state

    tags, thing = ["one"], Mutable()
    with bound(instance="sales"):
        log.info("%s %s", thing, len(tags), extra={"count": tags, "thing": thing})
    tags.append("two")
    thing.state = "after"
    line = only(handler, directory)
    assert line["message"] == "before 1"
    assert line["count"] == ["[redacted]"]
    assert line["thing"] == "before"
    assert line["instance"] == "sales"


def test_other_handlers_get_the_unchanged_record(handler: ServiceHandler, log: logging.Logger) -> None:
    seen: list[logging.LogRecord] = []

    class Other(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    log.addHandler(Other())
    try:
        throw(KeyError("x"))
    except KeyError:
        log.exception("%s", "5511999999999", extra={"key": {"a": "b"}})
    handler.flush()
    (record,) = seen
    assert record.args == ("5511999999999",)
    assert record.exc_info
    assert vars(record)["key"] == {"a": "b"}


def test_an_exception_is_logged_with_its_causes(handler: ServiceHandler, log: logging.Logger, directory: Path) -> None:
    try:
        try:
            throw(KeyError("inner"))
        except KeyError as inner:
            raise RuntimeError("outer") from inner
    except RuntimeError:
        log.exception("failed")
    trace = only(handler, directory, "cache-errors.log")["exc_info"]
    assert "KeyError: 'inner'" in trace
    assert "RuntimeError: outer" in trace
    assert "throw(KeyError" in trace
    assert "direct cause" in trace


def test_an_exception_is_not_kept_alive(handler: ServiceHandler, log: logging.Logger) -> None:
    try:
        throw(RuntimeError("with all its frames"))
    except RuntimeError:
        log.exception("failed")
    assert not any(one.exc_info for one in handler.queue.drain()[0])


def test_stack_info_is_logged(handler: ServiceHandler, log: logging.Logger, directory: Path) -> None:
    log.info("here", stack_info=True)
    assert "test_stack_info_is_logged" in only(handler, directory)["stack_info"]


def test_the_request_object_that_django_adds_is_removed(
    handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    log.warning("Not Found: %s", "/x", extra={"status_code": 404, "request": HttpRequest()})
    line = only(handler, directory)
    assert line["status_code"] == 404
    assert "request" not in line


# --- hostile values ---------------------------------------------------------------------------------------------------
class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __format__(self, _: str) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


class HostileMapping(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


def _cyclic() -> dict[str, Any]:
    cyclic: dict[str, Any] = {}
    cyclic["key"] = cyclic
    return cyclic


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


VALUES: dict[str, Any] = {
    "hostile": Hostile(),
    "hostile mapping": HostileMapping(),
    "hostile exception": type("Bad", (Exception,), {"__str__": Hostile.__str__})(),
    "cyclic": _cyclic(),
    "deep": _deep(),
    "not a number": math.nan,
    "infinity": -math.inf,
    "numbers": {"a": math.nan, "b": [math.inf, 1.5, 10**5000], "c": 2**70},
    "a huge number": 10**5000,
    "surrogate": "a\udc80b\ud800",
    "surrogates": {"kind": "\udc80", "\ud800": 1},
    "control characters": "a\x00\x1b[2J\r\n\u2028\x85b",
    "a megabyte": "x" * 1_000_000,
    "a megabyte of words": "word @ 12 " * 100_000,
    "bytes": b"\xff\x00",
    "object": object(),
    "class": Hostile,
    "set": {1, 2, 3},
    "odd keys": {(1, 2): 1, None: 2, 3.5: 3},
    "time": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "decimal": decimal.Decimal("1.50"),
    "uuid": uuid.UUID(int=1),
    "path": Path("/x"),
    "a percent sign": "100 % of %s",
    "nothing": None,
}


@pytest.mark.parametrize("name", VALUES)
def test_any_value_becomes_a_line_of_json_and_raises_nothing(
    name: str, handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    value = VALUES[name]
    log.info("first")
    log.info("argument %s", value)
    log.info("named %(value)s", {"value": value})
    log.info("whole %s", {"value": value})
    log.info("with", extra={"value": value, "key": 1})
    log.info(value)
    with bound(value=value):
        log.info("bound")
    try:
        throw(RuntimeError(value))
    except RuntimeError:
        log.exception("raised")
    log.info("last")
    handler.flush()
    written = lines(directory)
    assert [line["message"] for line in (written[0], written[-1])] == ["first", "last"]
    assert len(written) == 9
    assert written[4]["key"] == 1


@pytest.mark.parametrize(
    ("template", "arguments"),
    [("%s %s", ("a",)), ("%d", ("a",)), ("none", ("a",)), ("%(b)s", ({"a": 1},)), ("%s %", ("a",)), ("%s", ())],
)
def test_a_call_with_wrong_arguments_is_still_logged(
    template: str, arguments: tuple[Any, ...], handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    log.info(template, *arguments)
    assert template in only(handler, directory)["message"]


def test_extra_fields_do_not_replace_the_standard_keys(
    handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    log.info("true", extra={"timestamp": "1999", "level": "FATAL", "context": "x", "logger": "x", "exc_info_": 1})
    line = only(handler, directory)
    assert (line["level"], line["context"], line["logger"]) == ("INFO", "CACHE", "whatsai.cache")
    assert line["timestamp"] > "2"


def test_format_specifiers_apply_to_their_arguments(
    handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    log.info("%.2f %5s %r", decimal.Decimal("1.5"), "a", "b")
    assert only(handler, directory)["message"] == "1.50     a 'b'"


# --- the console ------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_coloured_lines_and_any_other_console_json(
    make_handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    for console in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", console)
        handler = make_handler(console=True)
        logger(handler).warning("Cache DEGRADED")
        handler.flush()
        shown.append(console.getvalue())
    assert "\x1b[33mWARN \x1b[0m cache" in shown[0]
    assert json.loads(shown[1])["message"] == "Cache DEGRADED"


def test_a_closed_console_does_not_stop_the_files(
    make_handler: MakeHandler, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = io.StringIO()
    monkeypatch.setattr("sys.stderr", console)
    handler = make_handler(console=True)
    console.close()
    logger(handler).info("still")
    handler.flush()
    assert messages(directory) == ["still"]


# --- closing, stalled disks, forks ------------------------------------------------------------------------------------
def test_a_record_logged_after_close_is_written_at_once(
    handler: ServiceHandler, log: logging.Logger, directory: Path
) -> None:
    log.info("before")
    handler.close()
    log.info("after")
    assert messages(directory) == ["before", "after"]
    handler.close()


def test_a_stalled_disk_blocks_neither_the_caller_nor_close(
    handler: ServiceHandler,
    log: logging.Logger,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.info("first")
    handler.flush()
    with monkeypatch.context() as limits, handler.write_lock:  # the writer thread holds write_lock during a stall
        limits.setattr(handler_module, "LOCK_TIMEOUT", 0.01)
        limits.setattr("logs.log_writer.FLUSH_TIMEOUT", 0.01)
        for _ in range(30_000):
            log.info("more")
        log.error("an error")
        handler.close()
        assert "lost" in capsys.readouterr().err
    assert handler.dropped[logging.INFO] >= 9_000
    monkeypatch.setattr(handler_module, "LOCK_TIMEOUT", TIMEOUT)
    monkeypatch.setattr("logs.log_writer.FLUSH_TIMEOUT", TIMEOUT)
    handler.close()
    assert "an error" in messages(directory)


def test_a_fork_waits_for_a_write_up_to_the_timeout(handler: ServiceHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler_module, "LOCK_TIMEOUT", 0.01)
    with handler.write_lock:
        handler_module._before_fork()  # noqa: SLF001 - os.fork calls this function
        handler_module._after_fork_in_parent()  # noqa: SLF001 - os.fork calls this function
        assert handler.write_lock.locked()
    handler_module._before_fork()  # noqa: SLF001 - os.fork calls this function
    assert handler.write_lock.locked()
    handler_module._after_fork_in_parent()  # noqa: SLF001 - os.fork calls this function
    assert not handler.write_lock.locked()


def test_threads_share_a_handler(handler: ServiceHandler, log: logging.Logger, directory: Path) -> None:
    def work() -> None:
        for _ in range(500):
            log.info("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()
    assert len(lines(directory)) == 2000
    assert len({line["thread"] for line in lines(directory)}) == 4
