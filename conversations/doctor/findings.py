"""What an examination finds, and the judgements that several examinations share."""

import enum
from collections.abc import Iterator
from typing import NamedTuple

from django.utils.formats import number_format
from django.utils.translation import gettext as _

MAX_CLOCK_SECONDS = 1.0  # by which clocks may differ; times that differ more confuse the order of events
GIGABYTE = 2**30
MIN_FREE_BYTES = GIGABYTE
MIN_FREE_SHARE = 0.1


class Level(enum.StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def word(self) -> str:
        """The name of the level, as it is printed."""
        return {Level.OK: _("ok"), Level.WARNING: _("warning"), Level.PROBLEM: _("problem")}[self]


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
        return ok(_("the clocks of %(name)s and of this host agree") % {"name": name})
    text = (
        _("the clock of %(name)s is %(seconds)d s ahead of that of this host; let NTP set both")
        if ahead > 0
        else _("the clock of %(name)s is %(seconds)d s behind that of this host; let NTP set both")
    )
    return problem(text % {"name": name, "seconds": round(abs(ahead))})


def judge_disk(folder: str, free: int, total: int) -> Iterator[Finding]:
    """Judge the free space of a folder's disk, both in bytes."""
    if free < MIN_FREE_BYTES or free < total * MIN_FREE_SHARE:
        text = _("the disk of %(folder)s has only %(free)s GB left, of %(total)s GB")
        sizes = {"free": number_format(free / GIGABYTE, 1), "total": number_format(total / GIGABYTE, 0)}
        yield warning(text % {"folder": folder, **sizes})
