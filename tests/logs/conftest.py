"""Fixtures and functions of the logging tests, which create log handlers and run programs that log."""

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from logs.config import Options, build_handler
from logs.handler import ServiceHandler
from logs.tail import rotated_files

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM_TIMEOUT = 240  # seconds; a machine may stall for a minute

Line = dict[str, Any]
MakeHandler = Callable[..., ServiceHandler]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the folder for a test's log files; the logging service creates the folder with the first file."""
    return tmp_path / "var" / "log"


@pytest.fixture
def make_handler(directory: Path) -> Iterator[MakeHandler]:
    """Return a function that creates log handlers; after the test, the fixture closes the handlers."""
    handlers: list[ServiceHandler] = []

    def start(**options: Any) -> ServiceHandler:
        handlers.append(build_handler(Options(**{"directory": directory, "console": False, **options})))
        return handlers[-1]

    yield start
    for handler in handlers:
        handler.close()


def logger(handler: logging.Handler, name: str = "whatsai.cache") -> logging.Logger:
    """Return a new logger whose records go only to `handler`, because the logger has no parent."""
    private = logging.Logger(name, logging.DEBUG)  # noqa: LOG001 - tests must not share this logger
    private.addHandler(handler)
    return private


def lines(directory: Path, name: str = "cache.log") -> list[Line]:
    """Return the parsed lines of a log file, including its rotated files."""
    return [json.loads(line) for path in rotated_files(directory / name) for line in path.read_bytes().splitlines()]


def messages(directory: Path, name: str = "cache.log") -> list[str]:
    """Return the field `message` of each line of a log file, including its rotated files."""
    return [line["message"] for line in lines(directory, name)]


def throw(error: BaseException) -> NoReturn:
    """Raise an exception whose traceback contains the function `throw`."""
    raise error


# --- programs ---------------------------------------------------------------------------------------------------------
PREAMBLE = """
import logging, multiprocessing, os, signal, sys, threading, time
from pathlib import Path
from logs.config import configure

def set_up(**options):
    configure({"directory": Path(sys.argv[1]), "console": False, "level": "DEBUG", **options})

log = logging.getLogger("whatsai.cache")
"""


def program(directory: Path, source: str, **popen: Any) -> "subprocess.Popen[str]":
    """Start a Python program whose source code is `PREAMBLE` followed by `source`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    script = directory.parent / f"program-{len(list(directory.parent.glob('program-*')))}.py"
    script.write_text(PREAMBLE + textwrap.dedent(source), encoding="utf-8")
    return subprocess.Popen(  # noqa: S603 - the test runs its own program
        [sys.executable, str(script), str(directory)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | popen.pop("variables", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def run(directory: Path, source: str, **popen: Any) -> str:
    """Run a program until it exits with status 0; return the program's standard error."""
    process = program(directory, source, **popen)
    _, errors = process.communicate(timeout=PROGRAM_TIMEOUT)
    assert process.returncode == 0, errors
    return errors
