"""Every counter of ingestion has a meaning; the documentation lists them as the admin and `ingest --status` do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import conversations
from conversations.ingest.counter_meanings import MEANINGS
from conversations.models import WebhookEvent

CODE = Path(conversations.__file__).parent
PAGE = CODE.parent / "docs" / "ingestion.md"


def counted(tree: ast.Module) -> Iterator[object]:
    """Yield the names that code counts, in each of the forms in which it does."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("increment") | ast.Attribute(attr="increment"), args=[_, ast.Constant(name)]):
                yield name
            case ast.Call(func=ast.Attribute(attr="add_to_totals"), args=[argument]):
                keys = (found.elts[1] for found in ast.walk(argument) if isinstance(found, ast.Tuple))
                yield from (key.value for key in keys if isinstance(key, ast.Constant))
            case ast.Call(func=ast.Attribute(ast.Name("counts"), "update"), keywords=keywords):
                yield from (keyword.arg for keyword in keywords)
            case ast.Subscript(ast.Name("counts"), ast.Constant(name)):
                yield name
            case ast.FunctionDef(name="_record_failure"):  # it returns the name
                returned = (found for found in ast.walk(node) if isinstance(found, ast.Return))
                yield from (
                    name.value
                    for one in returned
                    if isinstance(one.value, ast.IfExp)
                    for name in (one.value.body, one.value.orelse)
                    if isinstance(name, ast.Constant)
                )


def test_every_counter_has_a_meaning() -> None:
    files = [path for package in ("ingest", "webhooks") for path in (CODE / package).rglob("*.py")]
    names = {name for path in files for name in counted(ast.parse(path.read_text(encoding="utf-8")))}
    assert names | set(WebhookEvent.Outcome.values) - {WebhookEvent.Outcome.STORED.value} == set(MEANINGS)


def test_the_documentation_lists_the_same_counters() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("| counter | counts |\n")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)) == {
        name: str(meaning) for name, meaning in MEANINGS.items()
    }
