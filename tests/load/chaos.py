"""Kills and restarts processes during the load, with commands to the supervisor of `make stack` over its named pipe."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

KILL_INTERVAL = 5.0  # seconds


class NoStackError(Exception):
    """No supervisor reads commands from the pipe."""

    def __init__(self, pipe: Path) -> None:
        super().__init__(f"no stack reads commands at {pipe}: start `make stack` on this machine first")


def chaos_plan(seconds: float) -> Iterator[tuple[float, str]]:
    """Yield commands with their times in seconds, unsorted.

    A web process and a worker are killed every 5 s, and each store is restarted once.
    """
    at = KILL_INTERVAL
    while at < seconds:
        yield at, "kill web"
        yield at, "kill ingest"
        at += KILL_INTERVAL
    yield seconds / 3 + 1, "restart postgresql"
    yield seconds * 2 / 3 + 1, "restart valkey"


def send_command(pipe: Path, command: str) -> None:
    """Write one command to the pipe.

    Raises:
        NoStackError: the pipe does not exist, or no process has it open for reading.
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
    """Send every command of the plan at its time.

    Args:
        pipe: the supervisor's named pipe.
        seconds: duration of the load.
        delay: seconds from now until the load starts.

    Raises:
        NoStackError: see `send_command`.
    """
    clock = asyncio.get_running_loop().time
    start = clock() + delay
    for at, command in sorted(chaos_plan(seconds)):
        await asyncio.sleep(max(0.0, start + at - clock()))
        send_command(pipe, command)
