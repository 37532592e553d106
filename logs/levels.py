"""Log level names: written as DEBUG, INFO, WARN, ERROR and FATAL; WARNING and CRITICAL are accepted as input."""

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
    """Make Python's `logging` use the level names in `NAMES`."""
    for level, name in NAMES.items():
        logging.addLevelName(level, name)


def number(name: str) -> int:
    """Return the number of a log level, given its name in upper or lower case.

    Raises:
        ValueError: no log level has this name.
    """
    try:
        return ACCEPTED[name.upper()]
    except KeyError:
        raise ValueError(f"{name!r} is not a level; use one of {', '.join(NAMES.values())}") from None


def name(level: int) -> str:
    """Return the name of a log level; an unnamed level gets the name of the nearest named level below it."""
    return NAMES.get(level) or NAMES[max((known for known in NAMES if known <= level), default=logging.DEBUG)]
