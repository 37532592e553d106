"""Command-line parsing that the load test and the soak test share."""

import argparse


def create_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m module`; the option `--help` prints `description` with its line breaks."""
    return argparse.ArgumentParser(
        f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def positive(text: str) -> float:
    """Parse a number greater than 0.

    Raises:
        argparse.ArgumentTypeError: the number is not greater than 0.
    """
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return number


def fraction(text: str) -> float:
    """Parse a number that is at least 0 and less than 1.

    Raises:
        argparse.ArgumentTypeError: the number is less than 0, or at least 1.
    """
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("must be at least 0 and less than 1")
    return number
