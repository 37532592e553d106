"""How much tests explore: by default as much as fits into minutes; with EXPLORE=all, as much as fits into hours."""

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest

SWEEP = pytest.mark.sweep
EXPLORES_ALL = os.environ.get("EXPLORE") == "all"


def effort(usual: int, thorough: int) -> int:
    """Return how many examples to draw, or how many rounds to run.

    Args:
        usual: the number in a usual run of the suite.
        thorough: the number with EXPLORE=all.
    """
    return thorough if EXPLORES_ALL else usual


def sweep(cases: Iterable[Any], on_both: Collection[Any]) -> list[Any]:
    """Return the parameters of a test that runs all cases on SQLite, and only some of them on PostgreSQL.

    Args:
        cases: the values to pass to `pytest.mark.parametrize`; a tuple if the test has several parameters.
        on_both: the cases that also run on PostgreSQL; with EXPLORE=all, all cases run on both.
    """
    return [
        case if case in on_both else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=SWEEP)
        for case in cases
    ]
