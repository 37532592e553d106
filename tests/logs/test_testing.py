"""The module `logs.testing` captures log records in tests."""

import logging

import pytest

from logs.contexts import Context
from logs.testing import capture


def test_records_inside_the_block_are_captured_as_they_would_be_written() -> None:
    with capture() as logged:
        Context.CACHE.logger.debug("hit %s", "5511999999999@s.whatsapp.net", extra={"key": "a"})
        logging.getLogger("redis").warning("gone")
    Context.CACHE.logger.warning("afterwards")
    assert len(logged) == 2
    line = logged.one(context="cache", level="debug")
    assert line["message"].startswith("hit jid:")
    assert line["key"] == "a"
    assert logged.matching(message="gone", logger="redis")


def test_the_levels_are_restored_after_the_block() -> None:
    before = [logging.getLogger(name).level for name in (None, "whatsai")]
    with pytest.raises(KeyError), capture():
        raise KeyError
    assert [logging.getLogger(name).level for name in (None, "whatsai")] == before


def test_records_below_the_level_are_not_captured() -> None:
    with capture(logging.WARNING) as logged:
        Context.API.logger.info("x")
        Context.API.logger.warning("y")
    assert [line["message"] for line in logged] == ["y"]


def test_one_fails_unless_exactly_one_line_matches() -> None:
    with capture() as logged:
        Context.API.logger.info("x")
        Context.API.logger.info("x")
    with pytest.raises(AssertionError, match="2 lines match"):
        logged.one(message="x")
    with pytest.raises(AssertionError, match="0 lines match"):
        logged.one(level="ERROR")
