"""Tests that all code, files, links, anchors, commands and variables named in the documentation exist."""

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
GENERATED = "docs/benchmarks*.md"
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")}.difference(ROOT.glob(GENERATED)),
)
MAX_README_WORDS = 1500
MAX_GLOSSARY_TERMS = 25

PACKAGES = "whatsai|conversations|cachelayer|logs|tests"
SYSTEM_CHECK = re.compile(r"cachelayer\.[EW]\d{3}")
# Names in the documentation that look like environment variables of WhatsAI but are not.
OTHER_CAPITALS = {
    "ATOMIC_REQUESTS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DB_CASCADE", "ENV_FILE", "INSTALLED_APPS",
    "INVALIDATION_RULES", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER",
}  # fmt: skip


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    """Return one page of the documentation; each test with this fixture runs once for each page."""
    found: Path = request.param
    return found


# --- reading Markdown -------------------------------------------------------------------------------------------------
@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced(page: Path, language: str) -> list[str]:
    """Return the code blocks of a Markdown page that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """Return the text of a Markdown page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def inline_code(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: Path) -> list[str]:
    """Return the targets of all links and images of a page, except URLs."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
    return [target for target in targets if "://" not in target]


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for the headings of a page."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- reading code -----------------------------------------------------------------------------------------------------
def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def resolve(name: str) -> Any:
    """Return the object that a dotted name refers to; if the object is a module, return only its name.

    Raises:
        AttributeError: the module or class has no attribute with this name.
        ModuleNotFoundError: the name does not begin with an existing module.
    """
    parts = name.split(".")
    split = next((n for n in range(len(parts), 0, -1) if is_module(".".join(parts[:n]))), 1)
    if split == len(parts):
        return name  # not imported, because some benchmark modules need packages of another environment
    found: Any = importlib.import_module(".".join(parts[:split]))
    for part in parts[split:]:
        found = getattr(found, part)
    return found


def missing(names: Iterator[str]) -> list[str]:
    """Return those dotted names that refer to no existing module or attribute."""
    wrong = []
    for name in dict.fromkeys(names):
        try:
            resolve(name)
        except (AttributeError, ModuleNotFoundError):
            wrong.append(name)
    return wrong


# --- names of code ----------------------------------------------------------------------------------------------------
def test_dotted_names_exist_in_the_code(page: Path) -> None:
    dotted = re.compile(rf"(?:python -m )?((?:{PACKAGES})(?:\.\w+)+)(?:\(.*\))?")
    found = (match[1] for code in inline_code(page) if (match := dotted.fullmatch(code)))

    assert missing(name for name in found if not SYSTEM_CHECK.fullmatch(name)) == []


def test_imports_in_examples_exist_in_the_code(page: Path) -> None:
    statements = [node for code in fenced(page, "python") for node in ast.walk(ast.parse(code))]
    imports = [node for node in statements if isinstance(node, ast.ImportFrom) and node.module]
    names = (f"{node.module}.{alias.name}" for node in imports for alias in node.names)

    assert missing(name for name in names if re.match(rf"(?:{PACKAGES})\.", name)) == []


def test_sequence_diagrams_use_the_names_of_the_code(page: Path) -> None:
    names: list[str] = []
    for diagram in fenced(page, "mermaid"):
        participants = re.findall(r"participant (\w+) as (.+)", diagram.replace("<br/>", ""))
        modules = {alias: name for alias, name in participants if re.match(rf"(?:{PACKAGES})\.", name)}
        names += modules.values()
        calls = re.findall(r"\w+->>(\w+): *(\w+)\(", diagram)
        names += [f"{modules[target]}.{function}" for target, function in calls if target in modules]

    assert missing(iter(names)) == []


def test_a_read_a_write_and_a_webhook_have_a_sequence_diagram() -> None:
    diagrams = [
        code for name in ("cache.md", "ingestion.md") for code in fenced(ROOT / "docs" / name, "mermaid")
    ]  # fmt: skip

    assert [code.split("\n", 1)[0] for code in diagrams] == ["sequenceDiagram"] * 3


def test_system_checks_are_all_documented() -> None:
    source = (ROOT / "cachelayer" / "checks.py").read_text(encoding="utf-8")
    documented = SYSTEM_CHECK.findall(text_of(ROOT / "docs" / "operations.md"))

    assert sorted(documented) == sorted({f"cachelayer.{name}" for name in re.findall(r'"([EW]\d{3})"', source)})


def test_log_lines_of_the_cache_exist_in_the_code() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cachelayer").rglob("*.py"))
    section = (
        text_of(ROOT / "docs" / "operations.md").partition("\n### Log lines of the cache\n")[2].partition("\n## ")[0]
    )
    lines = re.findall(r"`(Cache [^`]+)`", section)

    assert lines
    assert [line for line in lines if f'"{line}' not in source] == []


# --- files and links --------------------------------------------------------------------------------------------------
def test_files_that_are_named_exist(page: Path) -> None:
    path = re.compile(rf"(?:{PACKAGES}|docs|\.ci)/[\w./-]*|pyproject\.toml|\.env\.example|Makefile")
    named = [code for code in inline_code(page) if path.fullmatch(code)]

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_is_reachable_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if link[0] != "#"]

    assert {*PAGES, *ROOT.glob(GENERATED)} - reached == set()


# --- commands and variables -------------------------------------------------------------------------------------------
def commands(page: Path, command: str) -> set[str]:
    """Return the words that follow a command, such as `make`, in the code blocks and inline code of a page."""
    code = "\n".join([*fenced(page, "console"), *inline_code(page)])
    return set(re.findall(rf"(?:^|[\s/]){re.escape(command)} ([a-z][\w-]*)", code, re.MULTILINE))


def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert commands(page, "make") - set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) == set()


def test_management_commands_exist(page: Path) -> None:
    assert commands(page, "manage.py") - set(get_commands()) == set()


def test_environment_variables_exist(page: Path) -> None:
    example = text_of(ROOT / ".env.example")
    known = set(re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)) | OTHER_CAPITALS
    named = {match[1] for code in inline_code(page) if (match := re.fullmatch(r"([A-Z]+(?:_[A-Z]+)+)(?:=.*)?", code))}

    assert named - known == set()


def test_the_configuration_table_has_every_variable() -> None:
    section = text_of(ROOT / "docs" / "operations.md").partition("\n## Configuration\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    variables = re.findall(r"^# ([A-Z_]+)=", text_of(ROOT / ".env.example"), re.MULTILINE)

    assert sorted(re.findall(r"`([A-Z_]+)`", " ".join(rows))) == sorted(variables)


# --- length -----------------------------------------------------------------------------------------------------------
def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").split()) <= MAX_README_WORDS


def test_the_glossary_is_short() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\*", text_of(ROOT / "docs" / "glossary.md"), re.MULTILINE)

    assert 0 < sum(len(term.split(", ")) for term in terms) <= MAX_GLOSSARY_TERMS
