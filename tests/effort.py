"""How much tests explore: by default as much as fits into minutes; with EXPLORE=all, as much as fits into hours."""

import os

EXPLORES_ALL = os.environ.get("EXPLORE") == "all"


def effort(usual: int, thorough: int) -> int:
    """Return how many examples to draw, or how many rounds to run.

    Args:
        usual: the number in a usual run of the suite.
        thorough: the number with EXPLORE=all.
    """
    return thorough if EXPLORES_ALL else usual
