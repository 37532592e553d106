"""The peers' processes: started, asked in turn, stopped. A peer that cannot run here is left out, and says why."""

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

from tests.benchmarks.peers import Peer
from tests.benchmarks.scene import Scene

NODE = Path(__file__).resolve().parent / "node"
STOP_WITHIN = 10.0  # seconds
Result = dict[str, float]
Commands = Mapping[Peer, Sequence[str]]


class LeftOut(Exception):
    """The peer cannot run here; the message says why."""


class PeerFailed(Exception):
    """A peer's process has ended; what it had to say is on the standard error."""


class PeerProcess:
    """One peer at work."""

    def __init__(self, peer: Peer, process: "subprocess.Popen[str]") -> None:
        self.peer = peer
        self._process = process

    def ask(self, question: dict[str, Any]) -> Any:
        """Send a line and return what is answered.

        Raises:
            PeerFailed: nothing is.
        """
        pipes = self._process
        if pipes.stdin is None or pipes.stdout is None:
            raise PeerFailed(self.peer.name)
        try:
            print(json.dumps(question), file=pipes.stdin, flush=True)
            line = pipes.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerFailed(self.peer.name)
        return json.loads(line)

    def measure(self, name: str) -> Result:
        """Let the peer be measured once."""
        result: Result = self.ask({"measure": name})
        return result


# --- what is to be run ------------------------------------------------------------------------------------------------
@contextmanager
def commands(peers: Sequence[Peer]) -> Iterator[tuple[Commands, list[str]]]:
    """Yield how each peer that can run here is started, and why the others cannot."""
    with ExitStack() as stack:
        found: dict[Peer, Sequence[str]] = {}
        left_out = []
        for peer in peers:
            try:
                found[peer] = _python(peer) if peer.side else stack.enter_context(_node())
            except LeftOut as reason:
                left_out.append(f"{peer.name} is left out: {reason}.")
        yield found, left_out


def _python(peer: Peer) -> Sequence[str]:
    try:
        if peer.package:
            version(peer.package)
    except PackageNotFoundError:
        raise LeftOut(f"{peer.package} is not installed (tests/benchmarks/requirements.txt)") from None
    return [sys.executable, "-m", "tests.benchmarks.worker", peer.name]


@contextmanager
def _node() -> Iterator[Sequence[str]]:
    """Install what Node needs into a folder that goes, from a lock file with checksums."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise LeftOut("there is no Node here")
    with tempfile.TemporaryDirectory(prefix="whatsai-bench-") as folder:
        shutil.copytree(NODE, folder, dirs_exist_ok=True)
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=silent"]
        if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode:
            raise LeftOut("npm could not install it")
        yield [node, str(Path(folder) / "cache_manager.mjs")]


# --- running it -------------------------------------------------------------------------------------------------------
@contextmanager
def running(commands: Commands, scene: Scene, measure: str, seconds: float) -> Iterator[list[PeerProcess]]:
    """Run these peers, ready to be measured, until the block ends; nobody else is there to be woken by what they do.

    Raises:
        PeerFailed: one cannot start, or does not read what the others read.
    """
    with ExitStack() as stack:
        at_work = [
            PeerProcess(peer, stack.enter_context(_started(command, index)))
            for index, (peer, command) in enumerate(commands.items())
        ]
        start = {"scene": asdict(scene), "measure": measure, "seconds": seconds}
        read = {process.peer.name: process.ask(start)["read"] for process in at_work}
        if len(set(filter(None, read.values()))) > 1:
            raise PeerFailed(f"they do not all read the same: {read}")
        yield at_work


@contextmanager
def _started(command: Sequence[str], index: int) -> Iterator["subprocess.Popen[str]"]:
    # A prefix of its own on the server: what one stores, and whom one tells of it, is not the others' business.
    environ = {**os.environ, "CACHE_PREFIX": f"bench-{index}"}
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()  # no more questions
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
