"""PostgreSQL and Valkey for one command: `python -m tests.servers COMMAND…` starts them, runs it, and stops them.

The programs are those of `make stack` (`whatsai/stack/stores.py`). Both run on unix sockets in a temporary folder, as
children of this process and out of reach of the terminal's Ctrl-C: they outlive the command, not this process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from whatsai.devstack import folders
from whatsai.devstack import process as program
from whatsai.devstack import servers as stores
from whatsai.devstack.process import Program, ServerFailed

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def servers(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run the servers that `environ` does not name already, and yield the variables that name them.

    Raises:
        ServerFailed: one did not start.
    """
    with ExitStack() as stack:
        wanted = {variable: run for variable, run in SERVERS.items() if not environ.get(variable)}
        yield {variable: stack.enter_context(run()) for variable, run in wanted.items()}


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL with one empty database, `whatsai`, and yield its URL."""
    with folders.short_tempdir() as folder:
        server, url = stores.postgresql(folder, folder, stores.EPHEMERAL)
        with running(server):
            yield url


@contextmanager
def valkey() -> Iterator[str]:
    """Run Valkey, which keeps nothing on disk, and yield its URL."""
    with folders.short_tempdir() as folder:
        server, url = stores.valkey(folder, folder)
        with running(server):
            yield url


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {"DATABASE_URL": postgresql, "REDIS_URL": valkey}


@contextmanager
def running(server: Program) -> Iterator[None]:
    """Run a server from the moment it answers until the block ends."""
    process = program.start(server)
    try:
        program.wait_until_ready(server, process)
        yield
    finally:
        program.stop(process, server.stop_signal)


# --- the command line -------------------------------------------------------------------------------------------------
def main(command: Sequence[str]) -> int:
    """Run `command` with the servers; return its exit status, or 128 + the number of the signal that ended it or us."""
    if not command:
        print("usage: python -m tests.servers COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    # Noted, not raised: no signal can come between starting a process and knowing it.
    caught: list[signal.Signals] = []
    for number in ENDING:
        signal.signal(number, lambda number, _frame: caught.append(signal.Signals(number)))
    try:
        with servers(os.environ) as variables:
            return _run(command, {**os.environ, **variables}, caught)
    except (ServerFailed, OSError) as error:
        print(f"tests.servers: {error}", file=sys.stderr)
        return 1


def _run(command: Sequence[str], environ: dict[str, str], caught: list[signal.Signals]) -> int:
    # This environment's programs first: `python -m tests.servers pytest` works without activating it.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    if not caught:
        process = subprocess.Popen(command, env=environ)
        while not caught:
            try:
                status = process.wait(program.POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            if not caught:
                return status if status >= 0 else 128 - status
        # Ctrl-C has reached the command as well: it may finish its report before it is asked again.
        program.stop(process, *((0, signal.SIGTERM) if caught[0] == signal.SIGINT else (signal.SIGTERM,)))
    return 128 + caught[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
