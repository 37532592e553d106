"""The peers' processes: started, asked in turn, stopped. A peer that cannot run here is left out, and says why."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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


@contextmanager
def running(peers: Sequence[Peer], scene: Scene, seconds: float) -> Iterator[tuple[list[PeerProcess], list[str]]]:
    """Start all peers' processes; yield those that run, and why others do not."""
    with ExitStack() as stack:
        at_work, left_out = [], []
        for peer in peers:
            try:
                command = stack.enter_context(_node()) if not peer.side else _python(peer)
            except LeftOut as reason:
                left_out.append(f"{peer.name} is left out: {reason}.")
                continue
            at_work.append(PeerProcess(peer, stack.enter_context(_started(command))))
            at_work[-1].ask({"scene": asdict(scene), "seconds": seconds})
        yield at_work, left_out


def _python(peer: Peer) -> list[str]:
    try:
        if peer.package:
            version(peer.package)
    except PackageNotFoundError:
        raise LeftOut(f"{peer.package} is not installed (tests/benchmarks/requirements.txt)") from None
    return [sys.executable, "-m", "tests.benchmarks.worker", peer.name]


@contextmanager
def _node() -> Iterator[list[str]]:
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


@contextmanager
def _started(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
