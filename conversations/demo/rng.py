"""Reproducible random values: a generator's seed consists of names, so the same names always give the same values."""

import random
import string

Random = random.Random  # a predictable generator, which must not be used for secrets

_BASE36 = string.digits + string.ascii_lowercase


def rng_for(*names: object) -> Random:
    """Return a random generator seeded with these names, such as the demo's seed, an instance and a chat number.

    Each chat uses generators of its own, so a change of one chat's length does not change other chats.
    """
    return Random("/".join(map(str, names)))


def digits(rng: Random, count: int) -> str:
    """Return a random number of `count` decimal digits, as text."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def hexadecimal(rng: Random, count: int) -> str:
    """Return `count` random hexadecimal digits in upper case."""
    return f"{rng.getrandbits(4 * count):0{count}X}"


def cuid(rng: Random) -> str:
    """Return a random id in the CUID format, which Evolution's database uses."""
    return "cm" + "".join(rng.choices(_BASE36, k=23))


def index_bytes(rng: Random, count: int) -> dict[str, int]:
    """Return random bytes as Evolution 2.3.6 and later serialize them: an object that maps each index to its byte."""
    return {str(index): byte for index, byte in enumerate(rng.randbytes(count))}
