"""`.env.example` and `whatsai/environment.py` list the same environment variables with the same defaults."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from whatsai import environment

EXAMPLE = (environment.BASE_DIR / ".env.example").read_text(encoding="utf-8")
SETTINGS = re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)


def test_the_example_lists_every_variable_exactly_once() -> None:
    source = Path(environment.__file__).read_text(encoding="utf-8")
    read = re.findall(r'env\.\w+\("([A-Z_]+)"', source)

    assert sorted(name for name, _ in SETTINGS) == sorted(set(read))


def test_the_example_contains_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("\n".join(f"{name}={value}" for name, value in SETTINGS if name != "SECRET_KEY"), encoding="utf-8")
    monkeypatch.chdir(environment.BASE_DIR)

    monkeypatch.setattr(os, "environ", {"SECRET_KEY": "k" * 60, "ENV_FILE": os.devnull})
    default = environment.read()
    monkeypatch.setattr(os, "environ", {"SECRET_KEY": "k" * 60, "ENV_FILE": str(file)})

    assert with_absolute_paths(environment.read()) == with_absolute_paths(default)


def with_absolute_paths(read: environment.Environment) -> environment.Environment:
    database = read.database | {"NAME": Path(read.database["NAME"]).absolute()}
    read = replace(read, public_url="")  # depends on the last `make run`
    return replace(read, database=database, log_dir=read.log_dir.absolute(), media_dir=read.media_dir.absolute())
