"""Starts one process per benchmarked library and sends it requests; skips libraries that cannot run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.dataset import Dataset
from tests.benchmarks.peers import Peer
from tests.scratch import scratch_folder

NODE = Path(__file__).resolve().parent / "node"
STOP_TIMEOUT = 10.0  # seconds
Result = dict[str, float]
Commands = Mapping[Peer, Sequence[str]]


class PeerUnavailable(Exception):
    """A benchmarked library cannot run on this machine; the error text is the reason."""


class PeerFailed(Exception):
    """The process of a benchmarked library has ended, or the libraries have read different data."""


class PeerProcess:
    """A running process in which one library is measured."""

    def __init__(self, peer: Peer, process: "subprocess.Popen[str]") -> None:
        self.peer = peer
        self._process = process

    def request(self, body: dict[str, Any]) -> Any:
        """Send a request to the process as one line of JSON, and return the decoded response.

        Raises:
            PeerFailed: the process has sent no response.
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
        """Run one round of a measure in the process, and return its figures."""
        result: Result = self.request({"measure": name})
        return result


# --- commands ---------------------------------------------------------------------------------------------------------
@contextmanager
def commands(peers: Sequence[Peer]) -> Iterator[tuple[Commands, list[str]]]:
    """Yield the command of each library that can run on this machine, and why the other libraries cannot."""
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
    """Install the Node library into a temporary directory, from a lock file with checksums; yield the start command."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise PeerUnavailable("Node is not installed")
    with scratch_folder("bench") as folder:
        shutil.copytree(NODE, folder, dirs_exist_ok=True)
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=silent"]
        if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode:
            raise PeerUnavailable("npm ci failed")
        yield [node, str(Path(folder) / "cache_manager.mjs")]


# --- processes --------------------------------------------------------------------------------------------------------
@contextmanager
def running(commands: Commands, dataset: Dataset, measure: str, seconds: float) -> Iterator[list[PeerProcess]]:
    """Start the processes of these libraries, check that all read the same data, and stop them after the block.

    Raises:
        PeerFailed: a process cannot start, or the libraries read different data.
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
    # Each process has its own key prefix, so that processes share neither cache entries nor invalidation channels.
    environ = {**os.environ, "CACHE_PREFIX": f"bench-{index}"}
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()  # closing standard input tells the process to end
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
