"""The image contains all that the site needs, writes to `var` alone, and starts with its own commands."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.deploy import files
from tests.deploy.running import free_port, run, running, wait_for
from whatsai.environment import BASE_DIR

pytestmark = pytest.mark.once

VARIABLES = {
    "ENV_FILE": "/dev/null",
    "SECRET_KEY": "k" * 50,
    "DATABASE_URL": "sqlite:///var/db.sqlite3",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a folder with what the Dockerfile copies, and with an empty `var`."""
    for name in files.copied():
        source, target = BASE_DIR / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    (tmp_path / "var").mkdir(mode=0o700)
    return tmp_path


def test_its_commands_run_and_write_to_var_alone(image: Path) -> None:
    (steps,) = files.arguments("RUN")
    compiled, made = map(shlex.split, steps.split("&&"))
    run(compiled, image, VARIABLES)
    assert made[0] == "install"
    before = _contents(image)

    run(files.compose()["services"]["migrate"]["command"], image, VARIABLES)
    port = free_port()
    (command,) = files.arguments("CMD")
    (health,) = files.arguments("HEALTHCHECK")
    with running(json.loads(_on(command, port)), image, VARIABLES) as server:
        assert json.loads(wait_for(f"http://127.0.0.1:{port}/health/", server))["status"] == "ok"
        run(json.loads(_on(health.partition("CMD")[2], port)), image, VARIABLES)

    assert server.returncode == 0
    (image / "output").unlink()
    assert _contents(image) == before
    assert (image / "var" / "db.sqlite3").exists()


def test_only_what_is_copied_can_reach_the_image() -> None:
    lines = (files.FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(files.copied())


def test_it_runs_as_a_user_without_rights() -> None:
    (user,) = files.arguments("USER")
    (volume,) = files.arguments("VOLUME")
    (folder,) = files.arguments("WORKDIR")

    assert user == "10001:10001"
    assert volume == f"{folder}/var"


def _on(command: str, port: int) -> str:
    return command.replace(":8000", f":{port}")


def _contents(folder: Path) -> dict[Path, float]:
    """Return all files outside of `var`, with the times of their last change."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "var")
    return {path: path.stat().st_mtime for path in paths}
