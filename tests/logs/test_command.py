"""`manage.py logs` prints and filters lines of log files that the logging service has written."""

import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from logs import tail
from logs.binding import bound
from logs.handler import ServiceHandler
from logs.testing import capture
from tests.logs.conftest import ROOT, MakeHandler, logger, throw

PROGRAM_TIMEOUT = 240  # seconds; a machine may stall for a minute


@pytest.fixture
def handler(make_handler: MakeHandler, directory: Path, settings: LazySettings) -> ServiceHandler:
    settings.LOG_DIR = directory
    return make_handler()


@pytest.fixture
def logged_records(handler: ServiceHandler, directory: Path) -> None:
    """Write log files that contain records of several contexts and levels, and invalid lines."""
    cache, api, database = (logger(handler, f"whatsai.{name}") for name in ("cache", "api", "database"))
    cache.debug("Cache hit", extra={"key": "conversation:42"})
    with bound(request_id="a1", instance="sales"):
        api.info("GET /api/v1/conversations/ 200", extra={"status": 200})
        database.warning("SQL slow", extra={"duration_ms": 512.3})
    with bound(request_id="a2"):
        try:
            throw(RuntimeError("no"))
        except RuntimeError:
            api.exception("Internal Server Error: /x")
    cache.critical("Cache FATAL")
    handler.flush()
    with (directory / "cache.log").open("ab") as file:
        file.write(b"not JSON\n\xff\n")


def shown(*arguments: str) -> list[str]:
    """Return the lines that `manage.py logs` prints."""
    out = io.StringIO()
    call_command("logs", *arguments, stdout=out)
    return out.getvalue().splitlines()


def messages(*arguments: str) -> list[str]:
    return [json.loads(line)["message"] for line in shown(*arguments, "--json")]


ALL = ["Cache hit", "GET /api/v1/conversations/ 200", "SQL slow", "Internal Server Error: /x", "Cache FATAL"]


@pytest.mark.usefixtures("logged_records")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ALL),
        (("--context", "cache"), [ALL[0], ALL[4]]),
        (("-c", "API", "-c", "database"), ALL[1:4]),
        (("-c", "media"), []),
        (("--level", "info"), ALL[1:]),
        (("--level", "warn"), ALL[2:]),
        (("--level", "WARNING"), ALL[2:]),
        (("-l", "error"), ALL[3:]),
        (("-l", "fatal"), ALL[4:]),
        (("--request", "a1"), ALL[1:3]),
        (("--request", "a1", "--level", "warn"), [ALL[2]]),
        (("--request", "nobody"), []),
        (("--grep", "SLOW"), [ALL[2]]),
        (("-g", "conversation:42"), [ALL[0]]),
        (("-g", "RuntimeError"), [ALL[3]]),
        (("-g", r"^GET .* 200$"), [ALL[1]]),
        (("--since", "10m"), ALL),
        (("--since", "2h", "-c", "cache"), [ALL[0], ALL[4]]),
        (("--since", "2999-01-01"), []),
        (("--since", "2020-01-01T10:00:00+02:00"), ALL),
        (("-n", "2"), ALL[3:]),
        (("--lines", "0"), []),
        (("-n", "1", "-c", "api"), [ALL[3]]),
    ],
)
def test_each_filter(arguments: tuple[str, ...], expected: list[str]) -> None:
    assert messages(*arguments) == expected


@pytest.mark.usefixtures("logged_records")
def test_a_huge_line_count_shows_all_lines() -> None:
    assert messages("-n", "9" * 30) == messages()


def test_since_is_exact_to_the_microsecond(handler: ServiceHandler) -> None:
    logger(handler).info("x")
    handler.flush()
    moment = json.loads(shown("--json")[0])["timestamp"]
    assert messages("--since", moment) == ["x"]
    later = dt.datetime.fromisoformat(moment) + dt.timedelta(microseconds=1)
    assert messages("--since", later.isoformat()) == []
    assert messages("--since", later.replace(microsecond=0).isoformat()) == ["x"]


@pytest.mark.usefixtures("logged_records")
def test_lines_are_readable_with_the_traceback_below() -> None:
    lines = shown("-l", "warn")
    assert lines[0].endswith("WARN  database  SQL slow request_id=a1 instance=sales duration_ms=512.3")
    assert lines[1].endswith("ERROR api       Internal Server Error: /x request_id=a2")
    assert lines[2] == "Traceback (most recent call last):"
    assert "\x1b" not in "".join(lines)


@pytest.mark.usefixtures("logged_records")
def test_a_terminal_gets_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    call_command("logs", "-l", "fatal", stdout=out)
    assert "\x1b[1;37;41mFATAL" in out.getvalue()


def test_a_missing_folder_shows_no_lines(settings: LazySettings, tmp_path: Path) -> None:
    settings.LOG_DIR = tmp_path / "nowhere"
    assert shown() == []


def test_rotated_files_are_read(handler: ServiceHandler, directory: Path) -> None:
    log = logger(handler)
    for place in range(3):
        log.warning("%d", place)
        handler.flush()
        for name in ("cache.log", "cache-errors.log"):
            for number in range(place, -1, -1):
                old = directory / (f"{name}.{number}" if number else name)
                old.rename(directory / f"{name}.{number + 1}")
    assert messages() == messages("-l", "warn") == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        (("--level", "loud"), "'loud' is not a level"),
        (("--context", "nothing"), "'nothing' is not a context; use one of cache, api"),
        (("--since", "yesterday"), "'yesterday' is not a time such as 10m"),
        (("--grep", "("), "'(' is not a regular expression"),
        (("--lines", "-1"), "'-1' is not a number of lines"),
        (("--lines", "x"), "'x' is not a number of lines"),
    ],
)
def test_a_wrong_option_is_an_error_that_explains_the_valid_values(
    arguments: tuple[str, ...], expected_text: str
) -> None:
    with pytest.raises(CommandError) as error:
        call_command("logs", *arguments)
    assert expected_text in str(error.value)


def test_the_command_logs_nothing(handler: ServiceHandler) -> None:
    logger(handler).info("x")
    handler.flush()
    with capture() as logged:
        shown()
    assert not logged


# --- following --------------------------------------------------------------------------------------------------------
class Output(io.StringIO):
    """The standard output of `manage.py logs`; a test can wait until the output contains a text."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def write(self, text: str) -> int:
        with self.changed:
            self.changed.notify_all()
            return super().write(text)

    def wait_for(self, text: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.getvalue(), PROGRAM_TIMEOUT), self.getvalue()


def test_new_records_are_shown_once_across_a_rotation(
    handler: ServiceHandler, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "POLL_SECONDS", 0.01)
    stopped = threading.Event()

    def until_stopped(_: float) -> None:
        if stopped.wait(0.01):
            raise KeyboardInterrupt

    monkeypatch.setattr("logs.tail.time.sleep", until_stopped)
    log, out = logger(handler), Output()
    log.info("past")
    handler.flush()
    command = threading.Thread(target=call_command, args=("logs", "-f", "--json"), kwargs={"stdout": out})
    command.start()
    out.wait_for("past")
    for place in range(5):
        log.info("coming %d", place)
        handler.flush()
        out.wait_for(f"coming {place}")
        (directory / "cache.log").rename(directory / f"cache.log.{5 - place}")
    log.info("last")
    handler.flush()
    out.wait_for("last")
    stopped.set()
    command.join()
    shown_messages = [json.loads(line)["message"] for line in out.getvalue().splitlines()]
    assert shown_messages == ["past", *(f"coming {place}" for place in range(5)), "last"]


@pytest.fixture
def program(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "logs", "--follow", "--json", "--level", "info"],
        cwd=ROOT,
        env=os.environ | {"LOG_DIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_the_command_ends_quietly_when_its_reader_ends(
    program: "subprocess.Popen[str]", handler: ServiceHandler
) -> None:
    log = logger(handler)
    log.info("x")
    handler.flush()
    assert program.stdout
    assert program.stderr
    assert json.loads(program.stdout.readline())["message"] == "x"
    program.stdout.close()
    log.info("written to a closed pipe")
    handler.flush()
    assert (program.wait(PROGRAM_TIMEOUT), program.stderr.read()) == (0, "")


def test_ctrl_c_ends_the_command_quietly(program: "subprocess.Popen[str]", handler: ServiceHandler) -> None:
    logger(handler).info("x")
    handler.flush()
    assert program.stdout
    assert program.stderr
    program.stdout.readline()
    program.send_signal(signal.SIGINT)
    assert (program.wait(PROGRAM_TIMEOUT), program.stderr.read()) == (0, "")
