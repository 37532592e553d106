"""Formats a log record as one line of JSON, or as a coloured line for a terminal."""

import datetime as dt
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from pythonjsonlogger import json as jsonlogger

from logs import levels
from logs.binding import BOUND, REQUEST_CONTEXT
from logs.contexts import Context, context_of
from logs.redaction import STANDARD_ATTRIBUTES

_NO_FIELDS = STANDARD_ATTRIBUTES | {"request"}  # Django adds the request object to records

# Keys of a JSON line that the console shows below the line (`_BELOW`), or not as a `name=value` pair (`_NO_PAIRS`).
_BELOW = ("stack", "exc_info", "stack_info")
_NO_PAIRS = ("timestamp", "level", "context", "message", "logger", "process", "thread", *_BELOW)

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_MAX_INT_BITS = 1024  # longer integers are written in hex, because Python refuses to convert very long ones to decimal
_MAX_DEPTH = 8

_RESET, _DIM = "\x1b[0m", "\x1b[2m"
_COLORS = {"DEBUG": _DIM, "INFO": "\x1b[32m", "WARN": "\x1b[33m", "ERROR": "\x1b[31m", "FATAL": "\x1b[1;37;41m"}


def record_context(record: logging.LogRecord) -> Context:
    """Return the log context that a record belongs to."""
    return context_of(record.name, vars(record).get(BOUND, {}).get(REQUEST_CONTEXT))


def record_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record's bound fields and the fields of its `extra`; a field in `extra` replaces a bound one."""
    attributes = vars(record)
    found = {
        **attributes.get(BOUND, {}),
        **{name: attributes[name] for name in attributes if name not in _NO_FIELDS},
    }
    found.pop(REQUEST_CONTEXT, None)
    return found


def timestamp(created: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC: `2026-03-01T12:00:00.123456Z`."""
    return dt.datetime.fromtimestamp(created, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class JsonFormatter(jsonlogger.JsonFormatter):
    """Formats a log record as one JSON object on one line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill the JSON object: first the keys that every record has, then the record's own fields."""
        log_data |= {
            "timestamp": timestamp(record.created),
            "level": levels.name(record.levelno),
            "context": record_context(record).name,
            "message": record.message,
        }
        log_data |= {name: value for name, value in record_fields(record).items() if name not in log_data}
        log_data |= {"logger": record.name, "process": record.process, "thread": record.threadName, **message_dict}

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the log data as JSON; values that JSON cannot represent become text."""
        return _to_json(log_data)


class ConsoleFormatter(logging.Formatter):
    """Formats a log record as a coloured line, with the traceback below the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the coloured line, and below the line the traceback if there is one."""
        data = {
            "timestamp": timestamp(record.created),
            "level": levels.name(record.levelno),
            "context": record_context(record).value,
            "message": record.getMessage(),
            "exc_info": record.exc_text,
            "stack_info": record.stack_info,
        }
        return format_line(data | {name: value for name, value in record_fields(record).items() if name not in data})


def format_line(data: Mapping[str, Any], *, colored: bool = True) -> str:
    """Format the data of a JSON line for a terminal: local time, `name=value` pairs, and tracebacks below."""
    dim, color, reset = (_DIM, _COLORS.get(data["level"], ""), _RESET) if colored else ("", "", "")
    clock = dt.datetime.fromisoformat(data["timestamp"]).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    pairs = [f" {dim}{name}={reset}{_console_value(value)}" for name, value in data.items() if name not in _NO_PAIRS]
    head = f"{dim}{clock}{reset} {color}{data['level']:<5}{reset} {data['context'].lower():<9} "
    below = [line for name in _BELOW for line in str(data.get(name) or "").split("\n") if line]
    return "\n".join(
        [f"{head}{_escape_unprintable(data['message'])}{''.join(pairs)}", *map(_escape_unprintable, below)]
    )


def _console_value(value: object) -> str:
    text = value if isinstance(value, str) else _to_json(value)
    return text if text.isprintable() and " " not in text else _escape_unprintable(json.dumps(text, ensure_ascii=False))


def _escape_unprintable(text: str, escape: Callable[[str], str] = ascii) -> str:
    """Escape line breaks and control characters, so that a text can neither forge a line nor control a terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else escape(char)[1:-1] for char in text)


def _to_json(value: object) -> str:
    """Return any value as printable JSON, because every line of a log file must be valid JSON on one line."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):
        text = _encode(_jsonable(value))
    return _escape_unprintable(text, json.dumps)


def _jsonable(value: object, depth: int = _MAX_DEPTH) -> object:
    """Return a copy of a value that JSON can represent: other types become text, deep structures are cut off."""
    if isinstance(value, dict):
        return {str(key): _jsonable(item, depth - 1) for key, item in value.items()} if depth else {}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item, depth - 1) for item in value] if depth else []
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return hex(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
