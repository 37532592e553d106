"""A log record becomes one line of JSON in a file and one colored line of text in a terminal."""

import datetime as dt
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from logs.formatters import ConsoleFormatter, JsonFormatter, format_line, timestamp

CREATED = 1772366400.123456  # 2026-03-01T12:00:00.123456Z as a timestamp


def record(level: int = logging.INFO, text: str = "Cache CLEAR all", **fields: Any) -> logging.LogRecord:
    one = logging.LogRecord("whatsai.cache", level, "", 0, text, None, None)
    one.created = CREATED
    vars(one).update(fields)
    return one


def parsed(one: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(one)
    assert "\n" not in line
    return dict(json.loads(line))


# --- JSON -------------------------------------------------------------------------------------------------------------
def test_a_line_starts_with_the_standard_keys() -> None:
    line = parsed(record(bound={"request_id": "a1"}, key="conversation:42", duration_ms=0.5))
    assert list(line.items())[:7] == [
        ("timestamp", "2026-03-01T12:00:00.123456Z"),
        ("level", "INFO"),
        ("context", "CACHE"),
        ("message", "Cache CLEAR all"),
        ("request_id", "a1"),
        ("key", "conversation:42"),
        ("duration_ms", 0.5),
    ]
    assert line["logger"] == "whatsai.cache"
    assert line["process"] == os.getpid()
    assert line["thread"] == "MainThread"


@pytest.mark.parametrize(
    ("level", "name"), [(10, "DEBUG"), (20, "INFO"), (30, "WARN"), (40, "ERROR"), (50, "FATAL"), (25, "INFO")]
)
def test_levels_have_the_same_name_in_json_and_on_the_console(level: int, name: str) -> None:
    assert parsed(record(level))["level"] == name
    assert name in ConsoleFormatter().format(record(level))


@pytest.mark.parametrize("created", [0.0, 1.0, CREATED, 1772366400.0, 1772366400.9999999, 4102444799.5])
def test_a_timestamp_is_iso_8601_in_utc_to_the_microsecond(created: float) -> None:
    text = timestamp(created)
    assert len(text) == len("2026-03-01T12:00:00.123456Z")
    assert abs(dt.datetime.fromisoformat(text).timestamp() - created) < 1e-6


def test_attributes_of_newer_python_versions_are_not_fields() -> None:
    assert "taskName" not in parsed(record(taskName="Task-1"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        ([1.5, float("inf")], [1.5, "inf"]),
        ({"a": {1, 2}, 3: None}, {"a": [1, 2], "3": None}),
        ([10**5000], [hex(10**5000)]),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_values_without_a_json_form_become_text(value: object, shown: object) -> None:
    assert parsed(record(key=value, count=1.5))["key"] == shown
    assert parsed(record(key=value, count=1.5))["count"] == 1.5


def test_cyclic_and_deep_structures_are_cut_off() -> None:
    cyclic: dict[str, Any] = {}
    cyclic["again"] = cyclic
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    assert parsed(record(cyclic=cyclic, deep=deep))["message"] == "Cache CLEAR all"


UNPRINTABLE = "a\n\r\t\x00\x1b[2J\x7f\x9b2J\x85\u200b\u2028\u2029\u202egnp\u2066\ud800\U000e0041 é🍕"


def test_a_line_of_json_has_printable_characters_only_and_keeps_all_others() -> None:
    """Programs that show or split lines also heed U+0085, U+2028, C1 controls and changes of direction."""
    one = record(text=UNPRINTABLE, key=UNPRINTABLE, exc_text=UNPRINTABLE, tags=[UNPRINTABLE], where={UNPRINTABLE: 1})
    line = JsonFormatter().format(one)
    assert line.isprintable()
    assert "é🍕" in line
    found = json.loads(line)
    assert (found["message"], found["key"], found["tags"]) == (UNPRINTABLE, UNPRINTABLE, [UNPRINTABLE])
    assert (found["exc_info"], found["where"]) == (UNPRINTABLE, {UNPRINTABLE: 1})


# --- the console ------------------------------------------------------------------------------------------------------
@pytest.fixture
def in_sao_paulo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as where:
        where.setenv("TZ", "America/Sao_Paulo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_sao_paulo")
def test_a_console_line_has_local_time_and_the_message_first() -> None:
    line = parsed(record(logging.WARNING, key="a b", count=3, tags=["x"]))
    assert format_line(line, colored=False) == (
        '03-01 09:00:00.123 WARN  cache     Cache CLEAR all key="a b" count=3 tags=["x"]'
    )


def test_a_console_line_has_the_content_of_its_json() -> None:
    one = record(logging.ERROR, key="k")
    one.exc_text = "Traceback (most recent call last):\nKeyError: 'x'"
    assert ConsoleFormatter().format(one) == format_line(parsed(one))
    assert ConsoleFormatter().format(one).endswith("\nTraceback (most recent call last):\nKeyError: 'x'")


@pytest.mark.parametrize("text", ["a\n11-24 12:00:00 ERROR forged", "\x1b[2J", "a\rb", "\u202egnp", "\ud800", "\x9b2J"])
def test_no_value_can_forge_a_line_or_control_a_terminal(text: str) -> None:
    for one in (record(text=text), record(key=text), record(exc_text=text)):
        shown = format_line(parsed(one), colored=False)
        assert all(character.isprintable() for character in shown.replace("\n", ""))
        shown.encode()
    assert "\n" not in format_line(parsed(record(text=text, key=text)), colored=False)


def test_printable_unicode_is_not_escaped() -> None:
    assert "Cardápio 🍕 ok" in format_line(parsed(record(text="Cardápio 🍕 ok")), colored=False)
