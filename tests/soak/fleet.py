"""The processes: readers and writers, forked from this one, and writers forked again when they have died."""

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
from tests.soak import endings
from tests.soak.endings import ProcessFailed
from tests.soak.history import WRITERS, History
from tests.soak.judge import Judge
from tests.soak.ledger import Ledger, note_draining
from tests.soak.orders import Orders, obey
from tests.soak.reader import Reader
from tests.soak.rows import Rows
from tests.soak.sabotage import SABOTAGES
from tests.soak.writer import Writer

READERS = 4
REST = 0.01  # seconds between two writes
STOP_WITHIN = 20.0  # seconds
MOMENT = 0.01

Run = Callable[[int, Callable[[], bool]], None]  # a process' number, and whether it goes on


class Fleet:
    """The processes of one soak, from entering its context to leaving it.

    Args:
        history: see there.
        rows: see there.
        orders: see there.
        folder: where readers leave their reports.
        quicker: see `pace.py`.
        sabotage: the step that is left out, or "".
    """

    def __init__(  # noqa: PLR0913 - what a soak is made of
        self, history: History, rows: Rows, orders: Orders, folder: Path, *, quicker: float, sabotage: str
    ) -> None:
        self.writers: dict[int, BaseProcess] = {}
        self.readers: dict[int, BaseProcess] = {}
        self._history = history
        self._rows = rows
        self._orders = orders
        self._folder = folder
        self._judge = Judge(history, rows, quicker)
        self._sabotage = sabotage

    def __enter__(self) -> Self:
        """Start them all."""
        connections.close_all()  # nobody is to inherit one
        self.readers = {number: self._start(self._read, number) for number in range(READERS)}
        self.writers = {number: self._start(self._write, number) for number in range(WRITERS)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all, whatever they are at."""
        for process in (*self.readers.values(), *self.writers.values()):
            process.kill()
            process.join()

    def tend(self) -> None:
        """Start writers anew that were killed.

        Raises:
            ProcessFailed: a process ended otherwise.
            Ended: the soak is to end.
        """
        endings.check()
        for processes in (self.readers, self.writers):
            for number, process in processes.items():
                if process.exitcode is None:
                    continue
                if process.exitcode != -signal.SIGKILL or processes is self.readers:
                    raise ProcessFailed(f"{process.name} ended with {process.exitcode}")
                processes[number] = self._start(self._write, number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let no process do anything for as long as the block lasts."""
        pids = [one.pid for one in (*self.readers.values(), *self.writers.values()) if one.pid and one.exitcode is None]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def rest(self, seconds: float) -> None:
        """Let time go by."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(left, MOMENT))

    def finish(self) -> list[dict[str, Any]]:
        """Have all stop, and return the readers' reports."""
        self._orders.stop()
        ends = time.monotonic() + STOP_WITHIN
        for process in (*self.readers.values(), *self.writers.values()):
            while process.exitcode is None and time.monotonic() < ends:
                endings.check()
                process.join(MOMENT)
            is_killed = process in self.writers.values() and process.exitcode == -signal.SIGKILL  # just now
            if process.exitcode != 0 and not is_killed:
                raise ProcessFailed(f"{process.name} ended with {process.exitcode} when it was to stop")
        return [json.loads(self._report(number).read_text()) for number in self.readers]

    def _report(self, reader: int) -> Path:
        return self._folder / f"reader-{reader}.json"

    # --- in the processes ---------------------------------------------------------------------------------------------
    def _start(self, run: Run, number: int) -> BaseProcess:
        name = f"{run.__name__.strip('_')}r-{number}"
        process = multiprocessing.get_context("fork").Process(
            target=self._live, args=(run, number, os.getpid()), name=name
        )
        process.start()
        return process

    def _live(self, run: Run, number: int, parent: int) -> None:
        """Be one of the processes: until all are told to stop, or there is nobody left to tell."""
        endings.ignore()
        note_draining(self._history, self._rows)
        if self._sabotage:
            SABOTAGES[self._sabotage]()
            runtime.use_configured_store()  # the one that was made at the fork has the steps as they are
        keeper = startup.start().threads
        run(number, lambda: not self._orders.is_stopped and os.getppid() == parent)
        if keeper is not None:
            keeper.report()
        logging.shutdown()

    def _read(self, number: int, goes_on: Callable[[], bool]) -> None:
        reader = Reader(self._history, self._rows, self._judge)
        while goes_on():
            reader.batch()
        self._report(number).write_text(json.dumps(reader.report()))

    def _write(self, number: int, goes_on: Callable[[], bool]) -> None:
        obey(self._orders, number)
        ledger = Ledger(self._history, self._rows, self._orders, number)
        writer = Writer(self._history, self._rows, ledger, number)
        while goes_on():
            writer.step()
            time.sleep(REST)
