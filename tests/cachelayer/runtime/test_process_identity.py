"""A process proves from the identity of another process that the other one has ended, and otherwise assumes nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cachelayer.runtime.process_identity import has_ended, identify
from tests.waiting import wait_until

OWN = identify(os.getpid())
pytestmark = pytest.mark.skipif(not OWN, reason="this machine cannot identify processes")


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends with its standard input."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_running_process_has_not_ended(process: "subprocess.Popen[bytes]") -> None:
    assert not has_ended(OWN)
    assert not has_ended(identify(process.pid))


def test_a_killed_process_has_ended_even_before_its_parent_notices(process: "subprocess.Popen[bytes]") -> None:
    identity = identify(process.pid)
    process.kill()
    wait_until(lambda: has_ended(identity))
    process.wait()
    assert has_ended(identity)
    assert identify(process.pid) == ""


def test_a_later_process_with_the_same_id_is_another_one() -> None:
    earlier = int(OWN.rpartition(" ")[2]) - 1
    assert has_ended(f"{OWN.rpartition(' ')[0]} {earlier}")


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "unknown",
        "a b c",
        OWN.replace(OWN[:8], "00000000"),
        OWN.replace("pid:[", "pid:[9"),
        f"{OWN.rpartition(' ')[0]} ",
    ],
    ids=["none", "a word", "no numbers", "another boot", "another container", "no start time"],
)
def test_nothing_is_certain_about_a_process_that_this_machine_cannot_know(identity: str) -> None:
    assert not has_ended(identity)
