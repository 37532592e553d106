import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.devstack import process as program
from tests.devstack.process import Program, ServerFailed
from tests.waiting import wait_until

TIMEOUT = 120  # seconds after which a test with a hung process fails


def test_a_program_that_ends_before_it_is_ready_is_an_error_with_its_output(tmp_path: Path) -> None:
    broken = Program("broken", ["sh", "-c", "echo no such luck; exit 1"], tmp_path, is_ready=lambda: False)
    process = program.start(broken)
    with pytest.raises(ServerFailed, match="no such luck"):
        program.wait_until_ready(broken, process)


def test_long_output_is_rotated_while_the_program_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MAX_LOG_BYTES", 1000)
    chatty = Program("chatty", ["sh", "-c", "while :; do echo 0123456789; done"], tmp_path)
    process = program.start(chatty)
    try:
        for _ in range(3):
            wait_until(lambda: chatty.log_file.stat().st_size > 1000)
            chatty.rotate_log()
        wait_until(lambda: chatty.log_file.stat().st_size > 0)
    finally:
        program.stop(process, signal.SIGTERM)
    assert (tmp_path / "chatty.log.1").stat().st_size > 1000
    assert b"\0" not in chatty.log_file.read_bytes(), "the program goes on at the start of the emptied file"


def test_a_program_that_ignores_a_signal_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = Program(
        "stubborn", ["sh", "-c", "trap '' TERM; touch ready; exec sleep 60"], tmp_path, is_ready=ready.exists
    )
    process = program.start(stubborn)
    program.wait_until_ready(stubborn, process)
    program.stop(process, signal.SIGTERM, timeout=0.1)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2) of Linux")
def test_a_program_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal
from tests.devstack import process as program
child = program.start(program.Program("child", ["sleep", "60"], pathlib.Path({str(tmp_path)!r})))
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False, timeout=TIMEOUT)
    child = int(parent.stdout)
    gone = not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert gone or not psutil.wait_procs([psutil.Process(child)], timeout=TIMEOUT)[1]
