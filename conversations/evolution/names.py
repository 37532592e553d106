"""Decides which texts are names of people: Evolution also writes numbers and a text of its own into name fields."""

import re

from conversations.evolution import coerce

MAX_NAME_LENGTH = 255  # maximum characters of a stored name
OWN_NAME = "Você"  # what Evolution writes as the name of the instance itself

# A number or an address instead of a name: digits, the marks with which phone numbers are written, and invisible marks
# that only set the direction of writing.
_NUMBER = re.compile(r"[\d\s+().\-\u00a0\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*(@\S*)?")


def usable_name(value: object) -> str:
    """Return a name to show; "" if the name is missing, only a number, or `OWN_NAME`."""
    name = coerce.text(value, MAX_NAME_LENGTH).strip()
    return "" if name == OWN_NAME or _NUMBER.fullmatch(name) else name
