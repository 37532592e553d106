"""A log level is one of five names, or a name of the standard library, in upper or lower case."""

import logging

import pytest

from logs import levels

NAMES = [("DEBUG", 10), ("INFO", 20), ("WARN", 30), ("WARNING", 30), ("ERROR", 40), ("FATAL", 50), ("CRITICAL", 50)]


@pytest.mark.parametrize(("name", "level"), NAMES)
def test_a_name_is_accepted_in_any_case(name: str, level: int) -> None:
    assert levels.number(name) == levels.number(name.lower()) == level
    assert logging.getLevelName(level) == levels.name(level)


def test_an_unknown_name_is_an_error_that_lists_the_levels() -> None:
    with pytest.raises(ValueError, match="'LOUD' is not a level; use one of DEBUG, INFO, WARN, ERROR, FATAL"):
        levels.number("LOUD")


@pytest.mark.parametrize(("level", "name"), [(0, "DEBUG"), (5, "DEBUG"), (25, "INFO"), (45, "ERROR"), (99, "FATAL")])
def test_a_level_without_a_name_has_the_name_of_the_next_lower_one(level: int, name: str) -> None:
    assert levels.name(level) == name
