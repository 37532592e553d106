"""Handlers for tests, and programs that log."""

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
PROGRAM_TIMEOUT = 60  # seconds

Line = dict[str, Any]
MakeHandler = Callable[..., ServiceHandler]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The folder of a test's log files; created with the first file."""
    return tmp_path / "var" / "log"


@pytest.fixture
def make_handler(directory: Path) -> Iterator[MakeHandler]:
    """Return a function that creates handlers; they are closed after the test."""
    handlers: list[ServiceHandler] = []

    def start(**options: Any) -> ServiceHandler:
        handlers.append(build_handler(Options(**{"directory": directory, "console": False, **options})))
        return handlers[-1]

    yield start
    for handler in handlers:
        handler.close()


def logger(handler: logging.Handler, name: str = "whatsai.cache") -> logging.Logger:
    """Return a new logger outside of the hierarchy whose records go to this handler only."""
    private = logging.Logger(name, logging.DEBUG)  # noqa: LOG001 - must not be shared
    private.addHandler(handler)
    return private


def lines(directory: Path, name: str = "cache.log") -> list[Line]:
    """Return the parsed lines of a log file and its rotated files."""
    return [json.loads(line) for path in rotated_files(directory / name) for line in path.read_bytes().splitlines()]


def messages(directory: Path, name: str = "cache.log") -> list[str]:
    """Return the messages in a log file and its rotated files."""
    return [line["message"] for line in lines(directory, name)]


def throw(error: BaseException) -> NoReturn:
    """Raise an exception, so that this function is in the traceback."""
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
    """Start a program that starts with `PREAMBLE`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    script = directory.parent / f"program-{len(list(directory.parent.glob('program-*')))}.py"
    script.write_text(PREAMBLE + textwrap.dedent(source), encoding="utf-8")
    return subprocess.Popen(  # noqa: S603 - a test's own program
        [sys.executable, str(script), str(directory)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | popen.pop("variables", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def run(directory: Path, source: str, **popen: Any) -> str:
    """Run a program to its end; return its standard error."""
    process = program(directory, source, **popen)
    _, errors = process.communicate(timeout=PROGRAM_TIMEOUT)
    assert process.returncode == 0, errors
    return errors
