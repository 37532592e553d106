"""Texts that reach people through known functions are marked for translation: none of these gets a plain literal."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.languages.extraction import files

# The functions, with the name of a keyword argument; an empty one stands for the positional arguments.
SINKS = {
    **dict.fromkeys(("CommandError", "ValidationError", "NotFound", "PermissionDenied", "Conflict", "ParseError"), ""),
    **dict.fromkeys(("AuthenticationFailed", "Http404", "ErrorDetail", "AddressRefused", "InvalidCursor"), ""),
    **dict.fromkeys(("UnknownShapeError", "UnknownEventError", "require_object", "ProbeFailed", "_step", "fill"), ""),
    **dict.fromkeys(("WebhookError", "BodyError", "_too_many", "_refusal"), ""),
    **dict.fromkeys(("StartError", "InstallFailed", "ArgumentTypeError", "PostingError"), ""),
    **dict.fromkeys(("message_user", "badge", "ok", "warning", "problem", "write"), ""),
    "add_argument": "help",
    "display": "description",
    "action": "description",
}
FILES = list(files("*.py"))


def literals(node: ast.expr) -> Iterator[str]:
    """Yield the literal texts of an expression that are not in a call or an index."""
    if isinstance(node, ast.Constant):
        yield from [node.value] if isinstance(node.value, str) else []
    elif not isinstance(node, ast.Call | ast.Subscript | ast.Dict | ast.Compare | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from literals(child)


def unmarked(path: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in SINKS or (name == "warning" and isinstance(call.func, ast.Attribute)):
            continue
        keyword = SINKS[name]
        arguments = [k.value for k in call.keywords if k.arg == keyword] if keyword else call.args
        # Among positional arguments, words without a space are codes and styles.
        found = [text for argument in arguments for text in literals(argument)]
        texts = [text for text in found if text.strip() and (keyword or " " in text.strip())]
        yield from (f"{path.relative_to(settings.BASE_DIR)}:{call.lineno}: {text}" for text in texts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_each_text_that_people_get_is_marked(path: Path) -> None:
    assert list(unmarked(path)) == []
