"""Runs a command with PostgreSQL and Valkey: `python -m tests.servers COMMAND…` starts both, and stops them afterwards.

The server programs are those of `make stack` (`tests/devstack/servers.py`). PostgreSQL and Valkey listen on unix
sockets in a temporary folder. Both servers are child processes in separate process groups, which Ctrl-C does not reach:
the servers run until the command has finished, and never outlive their parent process.
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
    """Start PostgreSQL if `environ` has no DATABASE_URL, and Valkey if `environ` has no REDIS_URL.

    Yields:
        The variables DATABASE_URL and REDIS_URL of the started servers.

    Raises:
        ServerFailed: a server did not start.
    """
    with ExitStack() as stack:
        missing = {variable: run for variable, run in SERVERS.items() if not environ.get(variable)}
        yield {variable: stack.enter_context(run()) for variable, run in missing.items()}


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL with an empty database `whatsai` until the `with` block ends; yield the database URL."""
    with folders.short_tempdir() as folder:
        server, url = programs.postgresql(folder, folder, programs.EPHEMERAL)
        with running(server):
            yield url


@contextmanager
def valkey() -> Iterator[str]:
    """Run Valkey without persistence until the `with` block ends; yield the URL of the server."""
    with folders.short_tempdir() as folder:
        server, url = programs.valkey(folder, folder)
        with running(server):
            yield url


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {"DATABASE_URL": postgresql, "REDIS_URL": valkey}


@contextmanager
def running(server: Program) -> Iterator[None]:
    """Start a program and wait until it is ready; stop the program when the `with` block ends."""
    process = program.start(server)
    try:
        program.wait_until_ready(server, process)
        yield
    finally:
        program.stop(process, server.stop_signal)


# --- the command line -------------------------------------------------------------------------------------------------
def main(command: Sequence[str]) -> int:
    """Run a command with PostgreSQL and Valkey.

    Returns:
        The command's exit status, or 128 + the number of the POSIX signal that ended the command or this program.
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
    # The folder of the running Python comes first in PATH, so that `pytest` is found without an activated environment.
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
        # Ctrl-C in the terminal also sends SIGINT to the command: give the command time to finish, then send SIGTERM.
        first = signals.first_received()
        program.stop(process, *((0, signal.SIGTERM) if first == signal.SIGINT else (signal.SIGTERM,)))
    return 128 + signals.first_received()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
