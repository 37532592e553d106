"""Reads the text of Meta AI's answers, which consist of paragraphs, code, tables, formulas, pictures and places.

The parts of an answer are in `submessages`, in JSON inside of `unifiedResponse.data`, or in both.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from conversations.evolution.byte_forms import decode
from conversations.evolution.coerce import Json
from conversations.evolution.details import MAX_TEXTS, texts
from conversations.evolution.embedded_json import decode_object

_MAX_PARTS = 1000  # maximum number of parts of an answer, and of lines of a part
_LINK_MARK = re.compile(r"\{\{/?IE_\d+\}\}")  # encloses words of the unified form that are a link or a formula


def read_answer(content: object) -> str | None:
    """Return the text of a `richResponseMessage`, one part below the other; None if it has no text.

    Unlike `details.texts`, this keeps repeated words: a program or a table may contain a word twice.
    """
    parts = _objects(content.get("submessages")) if isinstance(content, dict) else []
    found = [text for part in parts if (text := _part(part))] or list(_unified(content))
    return "\n".join(found)[:MAX_TEXTS] or None


def _part(part: Json) -> str:
    """Return the text of one part; every text inside if the part is of an unknown type."""
    known = "\n".join(text for name, read in _PARTS.items() if (text := read(part.get(name))))
    return known or texts({name: value for name, value in part.items() if name not in _PICTURES})


def _unified(content: object) -> Iterator[str]:
    """Yield the texts in the unified form of an answer, whose bytes are JSON."""
    response = content.get("unifiedResponse") if isinstance(content, dict) else None
    encoded = response.get("data") if isinstance(response, dict) else None
    answer = decode_object(decode(encoded).decode(errors="replace"))
    for section in _objects(answer.get("sections")):
        view = section.get("view_model")
        view = view if isinstance(view, dict) else {}
        for part in _objects([view.get("primitive")]) + _objects(view.get("primitives")):
            yield from filter(None, (_LINK_MARK.sub("", read(part)) for read in _UNIFIED))


def _cells(row: Json) -> list[str]:
    items = row.get("items")
    plain = items[:_MAX_PARTS] if isinstance(items, list) else []
    return list(_strings(row, "cells", "text")) or [cell for cell in plain if isinstance(cell, str)]


# functions that return a text of one part in the unified form
_UNIFIED: tuple[Callable[[Json], str], ...] = (
    lambda part: _string(part, "title"),
    lambda part: _string(part, "text"),
    lambda part: _string(part, "caption"),
    lambda part: "".join(_strings(part, "code_blocks", "content")).strip("\n"),
    lambda part: "\n".join(filter(None, (" | ".join(_cells(row)) for row in _objects(part.get("rows"))))),
)


def _code(value: object) -> str:
    """Return a program; its blocks are words and spaces in different colors."""
    return "".join(_strings(value, "codeBlocks", "codeContent")).strip("\n")


def _table(value: object) -> str:
    rows = _objects(value.get("rows")) if isinstance(value, dict) else []
    cells = [row["items"][:_MAX_PARTS] for row in rows if isinstance(row.get("items"), list)]
    lines = [" | ".join(cell for cell in row if isinstance(cell, str)) for row in cells]
    return "\n".join(filter(None, [_string(value, "title"), *lines]))


def _formulas(value: object) -> str:
    return _string(value, "text") or "\n".join(_strings(value, "expressions", "latexExpression"))


def _places(value: object) -> str:
    places = _objects(value.get("annotations")) if isinstance(value, dict) else []
    return "\n".join(filter(None, (_string(place, name) for place in places for name in ("title", "body"))))


def _reels(value: object) -> str:
    items = _objects(value.get("itemsMetadata")) if isinstance(value, dict) else []
    return "\n".join(filter(None, (_string(item.get("reelItem"), "title") for item in items)))


# field of a part → function that returns its text
_PARTS: dict[str, Callable[[Any], str]] = {
    "messageText": lambda value: value if isinstance(value, str) else "",
    "codeMetadata": _code,
    "tableMetadata": _table,
    "latexMetadata": _formulas,
    "imageMetadata": lambda value: _string(value, "imageText"),
    "mapMetadata": _places,
    "contentItemsMetadata": _reels,
}
_PICTURES = frozenset({"imageMetadata", "gridImageMetadata", "dynamicMetadata"})  # their other texts are URLs


def _objects(value: object) -> list[Json]:
    return [item for item in value[:_MAX_PARTS] if isinstance(item, dict)] if isinstance(value, list) else []


def _string(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _strings(value: object, items: str, name: str) -> Iterator[str]:
    found = value.get(items) if isinstance(value, dict) else None
    return (_string(item, name) for item in _objects(found))
