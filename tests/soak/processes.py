"""Starts, supervises and stops the reader and writer processes; killed writers are started again."""

import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.db import connections

from cachelayer import startup
from cachelayer.runtime.runtime import runtime
from tests import signals
from tests.devstack.process import ServerFailed
from tests.soak.commands import Commands, install_partition
from tests.soak.commit_recorder import CommitRecorder, record_draining
from tests.soak.history import WRITERS, History
from tests.soak.reader import Reader
from tests.soak.rows import Rows
from tests.soak.sabotage import SABOTAGES
from tests.soak.staleness import StalenessChecker
from tests.soak.writer import Writer

READERS = 4
WRITE_PAUSE = 0.01  # seconds between two writes
STOP_WITHIN = 20.0  # seconds
POLL_SECONDS = 0.01

# A main loop takes the number of its process, and a function that returns False when the loop must end.
Loop = Callable[[int, Callable[[], bool]], None]


class ProcessFailed(ServerFailed):
    """A reader process or a writer process ended or hung unexpectedly."""


class Processes:
    """All reader and writer processes of one soak test; they run until the `with` block ends.

    Args:
        history: the history of all writes to the rows.
        rows: the rows that are written and read.
        commands: the commands of the fault injection to the processes.
        folder: where readers write their reports.
        pace: the factor by which intervals are shortened; see `pace.py`.
        sabotage: the step of the cache protocol that the processes disable, or "" to disable no step.

    Attributes:
        readers: the reader processes by number.
        writers: the writer processes by number.
    """

    def __init__(  # noqa: PLR0913 - one argument for each component of a soak test
        self, history: History, rows: Rows, commands: Commands, folder: Path, *, pace: float, sabotage: str
    ) -> None:
        self.writers: dict[int, BaseProcess] = {}
        self.readers: dict[int, BaseProcess] = {}
        self._history = history
        self._rows = rows
        self._commands = commands
        self._folder = folder
        self._checker = StalenessChecker(history, rows, pace)
        self._sabotage = sabotage

    def __enter__(self) -> Self:
        """Start all readers and writers."""
        connections.close_all()  # a forked process must not inherit an open database connection
        self.readers = {number: self._start(self._read, number) for number in range(READERS)}
        self.writers = {number: self._start(self._write, number) for number in range(WRITERS)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill all readers and writers."""
        for process in self._all():
            process.kill()
            process.join()

    def restart_killed_writers(self) -> None:
        """Start the writers again that a fault has killed.

        Raises:
            ProcessFailed: a reader ended, or a writer ended without being killed.
            Interrupted: this process received a termination signal.
        """
        signals.raise_if_received()
        for processes in (self.readers, self.writers):
            for number, process in processes.items():
                if process.exitcode is None:
                    continue
                if process.exitcode != -signal.SIGKILL or processes is self.readers:
                    raise ProcessFailed(f"{process.name} ended with {process.exitcode}")
                processes[number] = self._start(self._write, number)

    @contextmanager
    def all_paused(self) -> Iterator[None]:
        """Pause all readers and writers while the `with` block runs."""
        pids = [process.pid for process in self._all() if process.pid and process.exitcode is None]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def sleep(self, seconds: float) -> None:
        """Sleep, and restart killed writers during this time; raises the errors of `restart_killed_writers`."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            self.restart_killed_writers()
            time.sleep(min(remaining, POLL_SECONDS))

    def stop(self) -> list[dict[str, Any]]:
        """Stop all readers and writers, and return the readers' reports.

        Raises:
            ProcessFailed: a process did not stop, or ended with an error.
            Interrupted: this process received a termination signal.
        """
        self._commands.stop()
        end = time.monotonic() + STOP_WITHIN
        for process in self._all():
            while process.exitcode is None and time.monotonic() < end:
                signals.raise_if_received()
                process.join(POLL_SECONDS)
            # A writer that the last fault has killed is not started again, and this is no error.
            is_killed_writer = process in self.writers.values() and process.exitcode == -signal.SIGKILL
            if process.exitcode != 0 and not is_killed_writer:
                raise ProcessFailed(f"{process.name} ended with {process.exitcode} when it had to stop")
        return [json.loads(self._report_path(number).read_text()) for number in self.readers]

    def _all(self) -> tuple[BaseProcess, ...]:
        return (*self.readers.values(), *self.writers.values())

    def _report_path(self, reader: int) -> Path:
        return self._folder / f"reader-{reader}.json"

    # --- in the forked processes --------------------------------------------------------------------------------------
    def _start(self, loop: Loop, number: int) -> BaseProcess:
        name = f"{loop.__name__.strip('_')}r-{number}"
        process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(loop, number, os.getpid()), name=name
        )
        process.start()
        return process

    def _run(self, loop: Loop, number: int, parent: int) -> None:
        """Start the cache and run `loop` until all processes must stop or the parent process has died."""
        signals.reset_in_child()
        record_draining(self._history, self._rows)
        if self._sabotage:
            SABOTAGES[self._sabotage]()
            runtime.use_configured_store()  # create the cache runtime again, with the sabotaged steps
        threads = startup.start().threads
        loop(number, lambda: not self._commands.is_stopped and os.getppid() == parent)
        if threads is not None:
            threads.report()
        logging.shutdown()

    def _read(self, number: int, is_running: Callable[[], bool]) -> None:
        reader = Reader(self._history, self._rows, self._checker)
        while is_running():
            reader.read_batch()
        self._report_path(number).write_text(json.dumps(reader.report()))

    def _write(self, number: int, is_running: Callable[[], bool]) -> None:
        install_partition(self._commands, number)
        recorder = CommitRecorder(self._history, self._rows, self._commands, number)
        writer = Writer(self._history, self._rows, recorder, number)
        while is_running():
            writer.write()
            time.sleep(WRITE_PAUSE)
