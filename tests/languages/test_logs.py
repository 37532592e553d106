"""Lines of the log are English in every language: no call of a logger takes a text that is marked for translation."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests.languages.extraction import MARKS, files


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_of_a_logger(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).endswith(("logger", "log"))


def translated(path: Path) -> Iterator[str]:
    for call in filter(is_of_a_logger, calls(ast.parse(path.read_text()))):
        if any(isinstance(inner.func, ast.Name) and inner.func.id in MARKS for inner in calls(call)):
            yield f"{path.relative_to(settings.BASE_DIR)}:{call.lineno}"


def test_no_line_of_the_log_is_translated() -> None:
    assert [place for path in files("*.py") for place in translated(path)] == []
