"""Command-line parsing that the load test and the soak test share."""

import argparse


def create_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m module`; its help prints the module's docstring unchanged."""
    return argparse.ArgumentParser(
        f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def positive(text: str) -> float:
    """Parse a number greater than 0.

    Raises:
        argparse.ArgumentTypeError: it is not greater than 0.
    """
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return number


def fraction(text: str) -> float:
    """Parse a number from 0 up to, but not including, 1.

    Raises:
        argparse.ArgumentTypeError: it is outside of this range.
    """
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("must be at least 0 and less than 1")
    return number
