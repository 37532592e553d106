"""Decodes JSON numbers to values that databases can store, and read back with about as many characters.

PostgreSQL writes 1e300 with 301 digits and 5e-324 with 326 characters, so a body of such numbers would be fifty times
as long when a worker reads it. Numbers that no field of WhatsApp can hold stay the text that was sent.
"""

from typing import NoReturn

MAX_DIGITS = 20  # of the largest integer in WhatsApp's messages, which have 64 bits
SMALLEST, LARGEST = 1e-9, 1e16  # sizes of floats that are written with few digits; coordinates and prices are between


def reject_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON (the decoder's `parse_constant`).

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not a JSON value")


def parse_float(text: str) -> float | str:
    """Convert a number with a fraction or an exponent, unless it is extremely large or small."""
    number = float(text)
    return number if not number or SMALLEST <= abs(number) < LARGEST else text


def parse_int(text: str) -> int | str:
    """Convert an integer, unless it has too many digits."""
    return int(text) if len(text) <= MAX_DIGITS else text
