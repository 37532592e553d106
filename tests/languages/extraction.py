"""Finds every text of the project that people read: in Python code, in templates and in models."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils import translation
from django.utils.translation.template import templatize

from whatsai import model_texts

PACKAGES = ("whatsai", "conversations", "cachelayer", "logs")

# The functions that mark texts → what their arguments are: c, a context; s, a text; p, the text for many.
MARKS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "noop"), "s"),
    **dict.fromkeys(("ngettext", "ngettext_lazy", "plural"), "sp"),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), "cs"),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), "csp"),
}
# What `templatize` makes of the tags of a template: calls of these functions, between words that mean nothing.
_CALLS = re.compile(r"""\b(?:n?p?gettext|_)\((?:\s*u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'),?)+\s*(?:count)?\)""")

# A text with its context, which is mostly "". A text with a plural is a pair.
Text = tuple[str, str | tuple[str, str]]


def texts() -> set[Text]:
    """Return all texts of the project."""
    return {*_texts_of_code(), *_texts_of_templates(), *_texts_of_models()}


def files(pattern: str) -> Iterator[Path]:
    """Yield the project's files that match a pattern, such as "*.html"."""
    for package in PACKAGES:
        yield from sorted((settings.BASE_DIR / package).rglob(pattern))


def _texts_of_code() -> Iterator[Text]:
    for path in files("*.py"):
        yield from _marked(path.read_text())


def _texts_of_templates() -> Iterator[Text]:
    for path in files("*.html"):
        for call in _CALLS.findall(templatize(path.read_text())):
            yield from _marked(call)


def _texts_of_models() -> Iterator[Text]:
    with translation.override(None):
        yield from (("", text) for text in model_texts.texts() if text)


def _marked(code: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in MARKS:
            continue
        kinds = MARKS[node.func.id]
        found = [argument.value for argument in node.args if isinstance(argument, ast.Constant)][: len(kinds)]
        if len(found) == len(kinds) and all(isinstance(value, str) for value in found):
            context, *forms = map(str, found if kinds.startswith("c") else ["", *found])
            yield context, forms[0] if len(forms) == 1 else (forms[0], forms[1])
