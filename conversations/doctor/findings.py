"""What an examination finds, and the judgements that several examinations share."""

import enum
from collections.abc import Iterator
from typing import NamedTuple

MAX_CLOCK_SECONDS = 1.0  # by which clocks may differ; times that differ more confuse the order of events
GIGABYTE = 2**30
MIN_FREE_BYTES = GIGABYTE
MIN_FREE_SHARE = 0.1


class Level(enum.StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One sentence about the deployment."""

    level: Level
    text: str


def ok(text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    """Return a finding that may be intended."""
    return Finding(Level.WARNING, text)


def problem(text: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(Level.PROBLEM, text)


def judge_clock(name: str, ahead: float) -> Finding:
    """Judge a clock that is `ahead` seconds ahead of the clock of this host (behind it, if negative)."""
    if abs(ahead) <= MAX_CLOCK_SECONDS:
        return ok(f"the clocks of {name} and of this host agree")
    direction = "ahead of" if ahead > 0 else "behind"
    return problem(f"the clock of {name} is {abs(ahead):.0f} s {direction} that of this host; let NTP set both")


def judge_disk(folder: str, free: int, total: int) -> Iterator[Finding]:
    """Judge the free space of a folder's disk, both in bytes."""
    if free < MIN_FREE_BYTES or free < total * MIN_FREE_SHARE:
        yield warning(f"the disk of {folder} has only {free / GIGABYTE:.1f} GB left, of {total / GIGABYTE:.0f} GB")
