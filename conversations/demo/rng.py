"""Everything that looks random, from streams that only their names decide: the same names, the same values for ever."""

import random
import string

Random = random.Random  # stories are no secrets

_BASE36 = string.digits + string.ascii_lowercase


def rng_for(*names: object) -> Random:
    """Return the stream of values of these names, one for each seed, channel and conversation.

    Streams are apart from each other, so that one conversation's length does not alter the next one's words.
    """
    return Random("/".join(map(str, names)))


def digits(chance: Random, count: int) -> str:
    """Return a number of `count` digits, as text."""
    return str(chance.randrange(10 ** (count - 1), 10**count))


def hexadecimal(chance: Random, count: int) -> str:
    """Return `count` hexadecimal digits in upper case."""
    return f"{chance.getrandbits(4 * count):0{count}X}"


def cuid(chance: Random) -> str:
    """Return an id of the form that Evolution's database gives its rows."""
    return "cm" + "".join(chance.choices(_BASE36, k=23))


def index_bytes(chance: Random, count: int) -> dict[str, int]:
    """Return bytes as Evolution 2.3.6 and later serialise them: an object of indexes."""
    return {str(index): byte for index, byte in enumerate(chance.randbytes(count))}
