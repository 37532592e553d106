"""Reads the files of docs/deploy/, and what they say of commands and variables."""

import re
import shlex
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml

from whatsai.environment import BASE_DIR

FOLDER = BASE_DIR / "docs" / "deploy"
UNITS = FOLDER / "systemd"
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile's last stage: name and arguments, continued lines joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    start = max(index for index, (name, _) in enumerate(lines) if name == "FROM")
    return [(name, arguments) for name, arguments in lines[start:]]


def arguments(instruction: str) -> list[str]:
    """Return the arguments of all instructions of one name in the Dockerfile's last stage."""
    return [given for name, given in instructions() if name == instruction]


def copied() -> list[str]:
    """Return the files and folders of the project that the image contains."""
    return [words[0] for words in map(shlex.split, arguments("COPY")) if not words[0].startswith("--from")]


def compose() -> dict[str, Any]:
    """Return the content of compose.yaml; anchors are resolved, variables are not."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return content


def example(name: str) -> dict[str, str]:
    """Return the variables of an example of an environment file."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def replace_variables(text: str, values: dict[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, as Compose does."""
    return VARIABLE.sub(lambda found: values.get(found[1]) or found[2] or "", text)


def unit(name: str) -> ConfigParser:
    """Return the sections of a systemd unit."""
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps capitals, as systemd does
    parser.read_string((UNITS / name).read_text(encoding="utf-8"))
    return parser


def units() -> list[Path]:
    """Return the systemd units."""
    return sorted(UNITS.iterdir())
