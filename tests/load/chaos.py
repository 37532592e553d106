"""Disasters while posts come: orders to the supervisor of `make stack`, through the pipe it listens on."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

KILL_EVERY = 5.0  # seconds


class NoStackError(Exception):
    """Nobody takes orders there."""

    def __init__(self, pipe: Path) -> None:
        super().__init__(f"no stack takes orders at {pipe}: start `make stack` on this machine first")


def chaos_plan(seconds: float) -> Iterator[tuple[float, str]]:
    """Yield what is done when: a web process and a worker are killed every 5 s, and each store is restarted once."""
    at = KILL_EVERY
    while at < seconds:
        yield at, "kill web"
        yield at, "kill ingest"
        at += KILL_EVERY
    yield seconds / 3 + 1, "restart postgresql"
    yield seconds * 2 / 3 + 1, "restart valkey"


def send_command(pipe: Path, order: str) -> None:
    """Give an order.

    Raises:
        NoStackError: nobody takes it.
    """
    try:
        handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise NoStackError(pipe) from error
    try:
        os.write(handle, f"{order}\n".encode())
    finally:
        os.close(handle)


async def run_chaos(pipe: Path, seconds: float, lead: float) -> None:
    """Give every order when it is time.

    Raises:
        NoStackError: nobody takes them.
    """
    clock = asyncio.get_running_loop().time
    begin = clock() + lead
    for at, order in sorted(chaos_plan(seconds)):
        await asyncio.sleep(max(0.0, begin + at - clock()))
        send_command(pipe, order)
