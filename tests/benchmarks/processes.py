"""Starts and stops the peers' processes and sends requests to them. Peers that cannot run here are skipped."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.dataset import Dataset
from tests.benchmarks.peers import Peer

NODE = Path(__file__).resolve().parent / "node"
STOP_TIMEOUT = 10.0  # seconds
Result = dict[str, float]
Commands = Mapping[Peer, Sequence[str]]


class PeerUnavailable(Exception):
    """The peer cannot run here; the message is the reason."""


class PeerFailed(Exception):
    """A peer's process has ended, or reads other data than the others; its standard error has the details."""


class PeerProcess:
    """A peer's running process."""

    def __init__(self, peer: Peer, process: "subprocess.Popen[str]") -> None:
        self.peer = peer
        self._process = process

    def request(self, body: dict[str, Any]) -> Any:
        """Send one line and return the response.

        Raises:
            PeerFailed: there is no response.
        """
        pipes = self._process
        if pipes.stdin is None or pipes.stdout is None:
            raise PeerFailed(self.peer.name)
        try:
            print(json.dumps(body), file=pipes.stdin, flush=True)
            line = pipes.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerFailed(self.peer.name)
        return json.loads(line)

    def measure(self, name: str) -> Result:
        """Measure the peer once."""
        result: Result = self.request({"measure": name})
        return result


# --- commands ---------------------------------------------------------------------------------------------------------
@contextmanager
def commands(peers: Sequence[Peer]) -> Iterator[tuple[Commands, list[str]]]:
    """Yield the command of each peer that can run here, and why the others cannot."""
    with ExitStack() as stack:
        found: dict[Peer, Sequence[str]] = {}
        skipped = []
        for peer in peers:
            try:
                found[peer] = _python(peer) if peer.adapter else stack.enter_context(_node())
            except PeerUnavailable as reason:
                skipped.append(f"{peer.name} is skipped: {reason}.")
        yield found, skipped


def _python(peer: Peer) -> Sequence[str]:
    try:
        if peer.package:
            version(peer.package)
    except PackageNotFoundError:
        raise PeerUnavailable(f"{peer.package} is not installed (tests/benchmarks/requirements.txt)") from None
    return [sys.executable, "-m", "tests.benchmarks.worker", peer.name]


@contextmanager
def _node() -> Iterator[Sequence[str]]:
    """Install the Node peer into a temporary directory, from a lock file with checksums."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise PeerUnavailable("Node is not installed")
    with tempfile.TemporaryDirectory(prefix="whatsai-bench-") as folder:
        shutil.copytree(NODE, folder, dirs_exist_ok=True)
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=silent"]
        if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode:
            raise PeerUnavailable("npm ci failed")
        yield [node, str(Path(folder) / "cache_manager.mjs")]


# --- processes --------------------------------------------------------------------------------------------------------
@contextmanager
def running(commands: Commands, dataset: Dataset, measure: str, seconds: float) -> Iterator[list[PeerProcess]]:
    """Run these peers, ready for measurement, until the block ends.

    Raises:
        PeerFailed: a peer cannot start, or reads other data than the others.
    """
    with ExitStack() as stack:
        processes = [
            PeerProcess(peer, stack.enter_context(_started(command, index)))
            for index, (peer, command) in enumerate(commands.items())
        ]
        opening = {"dataset": asdict(dataset), "measure": measure, "seconds": seconds}
        read = {process.peer.name: process.request(opening)["read"] for process in processes}
        if len(set(filter(None, read.values()))) > 1:
            raise PeerFailed(f"the peers read different data: {read}")
        yield processes


@contextmanager
def _started(command: Sequence[str], index: int) -> Iterator["subprocess.Popen[str]"]:
    # Its own prefix, so that peers share neither entries nor invalidation channels.
    environ = {**os.environ, "CACHE_PREFIX": f"bench-{index}"}
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()  # end of requests
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
