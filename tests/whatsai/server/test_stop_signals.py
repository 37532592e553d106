"""A signal ends a worker process from its first moment on."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

# The child handles no signals, as a worker that has just been forked. Parent and child get the signal at once.
FORK = """
import os, signal, sys, time
from whatsai.server import stop_signals

for number in stop_signals.STOPPING:
    signal.signal(number, lambda *_: None)  # as gunicorn's master, which only notes them
stop_signals.guard_forks()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(1)
os.kill(child, getattr(signal, sys.argv[1]))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""

HELD_BACK = """
import os, signal
from whatsai.server import stop_signals

caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append(1))
stop_signals.hold_back()
os.kill(os.getpid(), signal.SIGINT)
before = list(caught)
stop_signals.let_through()
print(before, caught)
"""


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()  # noqa: S603 - this interpreter


@pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT", "SIGTERM"])
def test_a_child_process_exits_at_once_and_its_parent_receives_signals(name: str) -> None:
    assert run(FORK, name) == "0 set()"


def test_a_signal_that_is_held_back_is_not_lost() -> None:
    assert run(HELD_BACK) == "[] [1]"
