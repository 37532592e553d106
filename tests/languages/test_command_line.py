"""The help of each command and what `make run` prints are translated, also what Python and Django say in them."""

import argparse
import ast
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from gettext import gettext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import base, call_command, get_commands
from django.utils import translation

from tests.languages.page_texts import BEGIN, END, outside
from whatsai import command_line, environment, install, local_state, model_texts, quickstart

APPS = {app.name for app in model_texts.first_party_apps()}
COMMANDS = sorted(name for name, app in get_commands().items() if app in APPS and name not in ("flush", "migrate"))
# Words that are not translated: what users type, and names.
TYPED = {"python", "manage", "py", "changepassword", "admin"}


@pytest.fixture
def spoken(pseudo_language: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let Python and Django speak the pseudo-language until the test ends."""
    monkeypatch.setenv("LANGUAGE", "")
    command_line.speak(pseudo_language, settings.LOCALE_PATHS[0])
    with translation.override(pseudo_language):
        yield
    command_line.speak("en")


def unmarked(text: str) -> set[str]:
    """Return the words that are not marked; words in capitals stand for values, and options begin with a hyphen."""
    unquoted = re.sub(rf"^  curl .*$|https?://[^\s{BEGIN}]+", " ", text, flags=re.MULTILINE)
    words = re.findall(r"(?<![\w/.{,-])[^\W\d_]{2,}(?![\w/}-])", outside(unquoted)[0])
    return {word for word in words if not word.isupper()} - TYPED


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_translated(name: str, spoken: None) -> None:  # noqa: ARG001 - changes the language
    command = command_line.CommandLine().fetch_command(name)
    usage, _, text = command.create_parser("manage.py", name).format_help().partition("\n\n")
    assert usage.startswith(f"{BEGIN}usage: {END}")
    assert unmarked(text) == set()


def test_what_make_run_prints_is_translated(spoken: None) -> None:  # noqa: ARG001 - changes the language
    state = local_state.LocalState("some-token", demo_due=False)
    for password in ("", "some-password"):
        assert unmarked(quickstart.welcome("http://127.0.0.1:8000", state, password)) == set()


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    "command",
    [
        "api_token some-user",
        "api_token some-user --list",
        "cache_audit",
        "cache_clear --all",
        "cache_stats",
        "ingest --drain",
        "ingest --status",
        "verify_restore",
        "webhook_token shop-1 --server https://evolution.example.com",
    ],
)
def test_what_a_command_prints_is_translated(command: str, spoken: None) -> None:  # noqa: ARG001 - changes the language
    output = io.StringIO()
    with contextlib.suppress(SystemExit):  # some commands judge what they have found
        call_command(*command.split(), stdout=output, stderr=output)
    text = re.sub(r"^(?:curl|POST|\{|\}| ).*$", "", output.getvalue(), flags=re.MULTILINE)  # what people copy, counters
    assert unmarked(text) == set()


def test_each_step_of_make_run_is_marked() -> None:
    tree = ast.parse(Path(quickstart.__file__).read_text())
    shown = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and ast.unparse(call.func) in SHOWING]
    assert len(shown) > 5
    assert [ast.unparse(call) for call in shown if isinstance(call.args[0], ast.Constant | ast.JoinedStr)] == []


SHOWING = {"show", "StartError", "argparse.ArgumentTypeError"}


@pytest.mark.parametrize(
    ("texts", "module"), [(command_line.PYTHON_TEXTS, argparse), (command_line.DJANGO_TEXTS, base)],
    ids=["Python", "Django"],
)  # fmt: skip
def test_what_python_and_django_say_is_known_word_for_word(texts: tuple[Any, ...], module: ModuleType) -> None:
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    known = {node.value for node in nodes if isinstance(node, ast.Constant)}
    with translation.override("en"):
        said = {text if isinstance(text, str) else "expected %s argument" for text in texts}
    assert said - known == set()


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "pt_BR.UTF-8"}, "pt-br"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE_CODE": "en"}, "en"),
        ({"LANG": "pt_PT.UTF-8"}, "pt-br"),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE_CODE": ""}, "pt-br"),
        ({"LANGUAGE": "de:pt_BR"}, "en"),
        ({"LANGUAGE_CODE": "pt-br"}, "pt-br"),
        ({"LANGUAGE_CODE": "en-us", "LANGUAGE": "pt_BR"}, "en-us"),
    ],
)
def test_the_setting_chooses_the_language_or_else_the_locale(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"ENV_FILE": os.devnull, **variables})
    assert environment.read_language() == language
    install.speak()  # it cannot import the project, and chooses by the same rules
    try:
        assert gettext("package %(number)s of %(total)s: %(name)s").startswith(
            "pacote" if language == "pt-br" else "package"
        )
    finally:
        command_line.speak("en")


@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"LANG": "C"}, "configuration error: ENV_FILE: cannot read {file}: "),
        ({"LANG": "pt_PT.UTF-8"}, "erro de configuração: ENV_FILE: não é possível ler {file}: "),
        ({"LANGUAGE_CODE": "pt-br"}, "erro de configuração: ENV_FILE: não é possível ler {file}: "),
    ],
)
@pytest.mark.parametrize(("command", "prefix"), [("manage.py check", ""), ("-m whatsai.quickstart", "make run: ")])
def test_an_unreadable_env_file_is_one_line(
    command: str, prefix: str, variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    completed = subprocess.run(
        [sys.executable, *command.split()],
        cwd=environment.BASE_DIR,
        env={"ENV_FILE": str(tmp_path), "PYTHONUTF8": "1", **variables},  # a folder cannot be read
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    (line,) = completed.stderr.splitlines()
    assert line.startswith(prefix + said.format(file=tmp_path))
    assert completed.returncode == 1


def test_wrong_settings_are_named_in_portuguese(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"LANGUAGE_CODE": "pt-br", "SECRET_KEY": "short", "DEBUG": "maybe", "INGEST_WINDOW": "99"}
    monkeypatch.setattr(os, "environ", {"ENV_FILE": os.devnull, **wrong})
    command_line.speak(environment.read_language())
    try:
        with pytest.raises(ImproperlyConfigured) as raised:
            environment.read()
    finally:
        command_line.speak("en")
    text = str(raised.value)
    assert "DEBUG: Não é um valor booleano válido." in text
    assert "SECRET_KEY: deve ser um texto aleatório de pelo menos 50 caracteres" in text
    assert "INGEST_WINDOW: deve estar entre 0 e 60." in text
