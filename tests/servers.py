"""Runs a command with PostgreSQL and Valkey: `python -m tests.servers COMMAND…` starts both, and stops them afterwards.

The server programs are those of `make stack` (`tests/devstack/servers.py`). Both listen on unix sockets in a
temporary folder. They are children of this process in separate process groups: Ctrl-C does not reach them, so they run
until the command has finished, and they never outlive this process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests import signals
from tests.devstack import folders
from tests.devstack import process as program
from tests.devstack import servers as programs
from tests.devstack.process import Program, ServerFailed


@contextmanager
def servers(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start each server whose variable is not set in `environ`; yield the variables with the servers' URLs.

    Raises:
        ServerFailed: a server did not start.
    """
    with ExitStack() as stack:
        missing = {variable: run for variable, run in SERVERS.items() if not environ.get(variable)}
        yield {variable: stack.enter_context(run()) for variable, run in missing.items()}


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL with an empty database `whatsai`; yield its URL."""
    with folders.short_tempdir() as folder:
        server, url = programs.postgresql(folder, folder, programs.EPHEMERAL)
        with running(server):
            yield url


@contextmanager
def valkey() -> Iterator[str]:
    """Run Valkey without persistence; yield its URL."""
    with folders.short_tempdir() as folder:
        server, url = programs.valkey(folder, folder)
        with running(server):
            yield url


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {"DATABASE_URL": postgresql, "REDIS_URL": valkey}


@contextmanager
def running(server: Program) -> Iterator[None]:
    """Start a program and wait until it is ready; stop it when the block ends."""
    process = program.start(server)
    try:
        program.wait_until_ready(server, process)
        yield
    finally:
        program.stop(process, server.stop_signal)


# --- the command line -------------------------------------------------------------------------------------------------
def main(command: Sequence[str]) -> int:
    """Run a command with the servers.

    Returns:
        The command's exit status, or 128 + the number of the signal that ended the command or this process.
    """
    if not command:
        print("usage: python -m tests.servers COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    signals.install_handlers()
    try:
        with servers(os.environ) as variables:
            return _run(command, {**os.environ, **variables})
    except (ServerFailed, OSError) as error:
        print(f"tests.servers: {error}", file=sys.stderr)
        return 1


def _run(command: Sequence[str], environ: dict[str, str]) -> int:
    # This interpreter's folder comes first in PATH, so that `pytest` runs without an activated environment.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    if not signals.first_received():
        process = subprocess.Popen(command, env=environ)
        while not signals.first_received():
            try:
                status = process.wait(program.POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            if not signals.first_received():
                return status if status >= 0 else 128 - status
        # Ctrl-C has also reached the command: first wait for it to finish (0), then send SIGTERM.
        first = signals.first_received()
        program.stop(process, *((0, signal.SIGTERM) if first == signal.SIGINT else (signal.SIGTERM,)))
    return 128 + signals.first_received()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
