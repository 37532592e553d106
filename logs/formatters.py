"""How a record looks: one line of JSON for machines, a coloured line for people at a terminal."""

import datetime as dt
import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger import json as jsonlogger

from logs import levels
from logs.binding import AREA, BOUND
from logs.contexts import Context, context_of
from logs.redaction import STANDARD

_OWN = STANDARD | {"request"}  # which is an object that Django adds

# Of a record's JSON: what a line for people has in a place of its own, or leaves out.
_BELOW = ("stack", "exc_info", "stack_info")
_ARRANGED = ("timestamp", "level", "context", "message", "logger", "process", "thread", *_BELOW)

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_LONGEST_INT = 1024  # bits; Python refuses to write very long ones in decimals

_RESET, _DIM = "\x1b[0m", "\x1b[2m"
_COLORS = {"DEBUG": _DIM, "INFO": "\x1b[32m", "WARN": "\x1b[33m", "ERROR": "\x1b[31m", "FATAL": "\x1b[1;37;41m"}


def context(record: logging.LogRecord) -> Context:
    """Return the context that a record belongs to."""
    return context_of(record.name, vars(record).get(BOUND, {}).get(AREA))


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was bound when a record was logged, and what was added to it."""
    said = vars(record)
    found = {**said.get(BOUND, {}), **{name: said[name] for name in said if name not in _OWN}}
    found.pop(AREA, None)
    return found


def timestamp(created: float) -> str:
    """Return a moment in UTC, as ISO 8601 says it: `2026-03-01T12:00:00.123456Z`."""
    return dt.datetime.fromtimestamp(created, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class JsonFormatter(jsonlogger.JsonFormatter):
    """One JSON object a line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Lay the record out; what everything has comes first."""
        log_data |= {
            "timestamp": timestamp(record.created),
            "level": levels.name(record.levelno),
            "context": context(record).name,
            "message": record.message,
        }
        log_data |= {name: value for name, value in fields(record).items() if name not in log_data}
        log_data |= {"logger": record.name, "process": record.process, "thread": record.threadName, **message_dict}

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return it as JSON, whatever is in it."""
        return _dumped(log_data)


class ConsoleFormatter(logging.Formatter):
    """A line that people read, its level in colour; tracebacks below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback if there is one."""
        said = {
            "timestamp": timestamp(record.created),
            "level": levels.name(record.levelno),
            "context": context(record).value,
            "message": record.getMessage(),
            "exc_info": record.exc_text,
            "stack_info": record.stack_info,
        }
        return format_line(said | {name: value for name, value in fields(record).items() if name not in said})


def format_line(said: Mapping[str, Any], *, colored: bool = True) -> str:
    """Return a record, as its JSON says it, as a line for people in their own time zone; tracebacks below it."""
    dim, color, reset = (_DIM, _COLORS.get(said["level"], ""), _RESET) if colored else ("", "", "")
    clock = dt.datetime.fromisoformat(said["timestamp"]).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    more = [f" {dim}{name}={reset}{_plain(value)}" for name, value in said.items() if name not in _ARRANGED]
    head = f"{dim}{clock}{reset} {color}{said['level']:<5}{reset} {said['context'].lower():<9} "
    below = [line for name in _BELOW for line in str(said.get(name) or "").split("\n") if line]
    return "\n".join([f"{head}{_on_one_line(said['message'])}{''.join(more)}", *map(_on_one_line, below)])


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else _dumped(value)
    return text if text.isprintable() and " " not in text else _on_one_line(json.dumps(text, ensure_ascii=False))


def _on_one_line(text: str) -> str:
    """Return a text that cannot pose as another line, nor steer a terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _dumped(value: object) -> str:
    """Return JSON, whatever the value is: no line of a log may be anything else."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        return _encode(_jsonable(value))


def _jsonable(value: object, depth: int = 8) -> object:
    """Return what JSON has for a value that it has no word for."""
    if isinstance(value, dict):
        return {str(key): _jsonable(one, depth - 1) for key, one in value.items()} if depth else {}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(one, depth - 1) for one in value] if depth else []
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and value.bit_length() > _LONGEST_INT:
        return hex(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
