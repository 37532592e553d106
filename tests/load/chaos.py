"""Kills and restarts server processes during the load, by writing commands to the named pipe of `make stack`."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

KILL_INTERVAL = 5.0  # seconds between two kills of a web process, and of an ingest worker


class NoStackError(Exception):
    """No supervisor of `make stack` reads commands from the named pipe."""

    def __init__(self, pipe: Path) -> None:
        super().__init__(f"no stack reads commands at {pipe}: start `make stack` on this machine first")


def chaos_plan(seconds: float) -> Iterator[tuple[float, str]]:
    """Yield the supervisor's commands and their times in seconds from the start of the load, not ordered by time.

    A web process and an ingest worker are killed every 5 s; PostgreSQL and Valkey are each restarted once.
    """
    at = KILL_INTERVAL
    while at < seconds:
        yield at, "kill web"
        yield at, "kill ingest"
        at += KILL_INTERVAL
    yield seconds / 3 + 1, "restart postgresql"
    yield seconds * 2 / 3 + 1, "restart valkey"


def send_command(pipe: Path, command: str) -> None:
    """Write one command to the named pipe of the supervisor.

    Raises:
        NoStackError: the pipe does not exist, or no process reads from the pipe.
    """
    try:
        handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise NoStackError(pipe) from error
    try:
        os.write(handle, f"{command}\n".encode())
    finally:
        os.close(handle)


async def run_chaos(pipe: Path, seconds: float, delay: float) -> None:
    """Send every command of `chaos_plan` to the supervisor, each at its time.

    Args:
        pipe: the supervisor's named pipe.
        seconds: how long the load lasts.
        delay: seconds from now until the load starts.

    Raises:
        NoStackError: no supervisor reads from the pipe.
    """
    clock = asyncio.get_running_loop().time
    start = clock() + delay
    for at, command in sorted(chaos_plan(seconds)):
        await asyncio.sleep(max(0.0, start + at - clock()))
        send_command(pipe, command)
