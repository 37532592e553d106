"""The levels' names: shown as DEBUG, INFO, WARN, ERROR and FATAL everywhere; the library's own are understood too."""

import logging

NAMES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "FATAL",
}
ACCEPTED = {name: level for level, name in NAMES.items()} | {"WARNING": logging.WARNING, "CRITICAL": logging.CRITICAL}


def install() -> None:
    """Let the standard library say them so."""
    for level, name in NAMES.items():
        logging.addLevelName(level, name)


def number(name: str) -> int:
    """Return a level's number, whatever the case of its name.

    Raises:
        ValueError: there is no such level.
    """
    try:
        return ACCEPTED[name.upper()]
    except KeyError:
        raise ValueError(f"{name!r} is none of the levels {', '.join(NAMES.values())}") from None


def name(level: int) -> str:
    """Return the name of a level, or of the next one below it that has a name."""
    return NAMES.get(level) or NAMES[max((known for known in NAMES if known <= level), default=logging.DEBUG)]
