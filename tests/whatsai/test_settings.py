"""Valid values of environment variables become settings, and a wrong value is a configuration error."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured

from logs import config
from logs.testing import capture
from whatsai import environment
from whatsai.environment import Environment

SECRET = "s3cret-" * 10
Read = Callable[..., Environment]


@pytest.fixture(autouse=True)
def _empty_environment() -> Iterator[None]:
    """Clear the environment variables during each test, and restore them afterwards."""
    with mock.patch.dict(os.environ, clear=True):
        yield


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads the settings from only the given variables, for a project in an empty folder."""

    def read_with(**variables: str) -> Environment:
        os.environ.update({"SECRET_KEY": SECRET} | variables)
        return environment.read(tmp_path)

    return read_with


def error_of(read: Read, **variables: str) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        read(**variables)
    return str(caught.value)


def test_only_the_secret_key_is_required(read: Read, tmp_path: Path) -> None:
    found = read()
    assert (found.debug, found.https, found.secret_key) == (False, True, SECRET)
    assert (found.redis_url, found.log_dir) == ("", tmp_path / "var" / "log")
    assert found.database["ENGINE"] == "django.db.backends.sqlite3"
    assert found.database["NAME"] == str(tmp_path / "var" / "db.sqlite3")


def test_the_default_of_the_public_url_is_where_the_site_was_served_last(read: Read, tmp_path: Path) -> None:
    assert read().public_url == "http://127.0.0.1:8000"
    (tmp_path / "var").mkdir()
    (tmp_path / environment.URL_FILE).write_text("http://192.168.1.7:8001\n", encoding="utf-8")
    assert read().public_url == "http://192.168.1.7:8001"
    assert read(PORT="8002").public_url == "http://127.0.0.1:8002"
    assert read(PUBLIC_URL="https://wa.example").public_url == "https://wa.example"


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("DEBUG", "true", "debug", True),
        ("HTTPS", "false", "https", False),
        ("ALLOWED_HOSTS", "a.example,b.example", "allowed_hosts", ["a.example", "b.example"]),
        ("CSRF_TRUSTED_ORIGINS", "https://a.example", "csrf_trusted_origins", ["https://a.example"]),
        ("CORS_ALLOWED_ORIGINS", "https://a.example", "cors_allowed_origins", ["https://a.example"]),
        ("REDIS_URL", "redis://127.0.0.1:6379/0", "redis_url", "redis://127.0.0.1:6379/0"),
        ("REDIS_URL", "redis://cache.example", "redis_url", "redis://cache.example"),
        ("REDIS_URL", "redis://:p%40ss@[::1]:6379/15", "redis_url", "redis://:p%40ss@[::1]:6379/15"),
        ("REDIS_URL", "redis://cache.example/?db=3", "redis_url", "redis://cache.example/?db=3"),
        (
            "REDIS_URL",
            "rediss://a:b@c.example?ssl_cert_reqs=none",
            "redis_url",
            "rediss://a:b@c.example?ssl_cert_reqs=none",
        ),
        ("REDIS_URL", "unix:///run/valkey.sock", "redis_url", "unix:///run/valkey.sock"),
        (
            "REDIS_URL",
            "unix://ana:secret@/run/valkey.sock?db=1",
            "redis_url",
            "unix://ana:secret@/run/valkey.sock?db=1",
        ),
        ("LOG_DIR", "/var/log/whatsai", "log_dir", Path("/var/log/whatsai")),
        ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
        ("MEDIA_DIR", "/srv/media", "media_dir", Path("/srv/media")),
        ("PUBLIC_URL", "https://wa.example", "public_url", "https://wa.example"),
        ("TIME_ZONE", "America/Sao_Paulo", "time_zone", "America/Sao_Paulo"),
        ("LANGUAGE_CODE", "pt-br", "language_code", "pt-br"),
    ],
)
def test_a_variable_is_converted_to_its_type(read: Read, variable: str, value: str, field: str, expected: Any) -> None:
    assert getattr(read(**{variable: value}), field) == expected


def test_a_database_url_is_parsed(read: Read) -> None:
    found = read(DATABASE_URL="postgresql://ana:p%40ss@db.example:5433/inbox").database
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert [found[part] for part in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        *("ana", "p@ss", "db.example", 5433, "inbox")
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBUG", "maybe-hunter2"),
        ("HTTPS", "hunter2"),
        ("SECRET_KEY", "hunter2"),
        ("SECRET_KEY", ""),
        ("CSRF_TRUSTED_ORIGINS", "https://good.example,hunter2.example"),
        ("CORS_ALLOWED_ORIGINS", "https://good.example,hunter2.example"),
        ("DATABASE_URL", "mysql://ana:hunter2@db.example/inbox"),
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgres://ana:hunter2@db.example:port/inbox"),
        ("DATABASE_URL", "postgres://ana:[hunter2@db.example/inbox"),
        ("REDIS_URL", "http://:hunter2@cache.example"),
        ("REDIS_URL", "redis://:[hunter2@cache.example"),
        ("REDIS_URL", "cache.example:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis:///0"),
        ("REDIS_URL", "redis://:hunter2@/0"),
        ("REDIS_URL", "redis://cache.example:hunter2/0"),
        ("REDIS_URL", "redis://cache.example:99999/0"),
        ("REDIS_URL", "redis://cache.example/hunter2"),
        ("REDIS_URL", "redis://cache.example/-1"),
        ("REDIS_URL", "redis://cache.example/0/1"),
        ("REDIS_URL", "redis://cache.example/0?db=1"),
        ("REDIS_URL", "redis://cache.example?db=hunter2"),
        ("REDIS_URL", "redis://cache.example?db="),
        ("REDIS_URL", "redis://cache.example?socket_timeout=60"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "unix://?db=0"),
        ("LOG_LEVEL", "hunter2"),
        ("PUBLIC_URL", "hunter2.example"),
        ("PUBLIC_URL", ""),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://:8443"),
        ("PUBLIC_URL", "https://wa.example:99999"),
        ("PROBE_URL", "http://"),
        ("ALARM_WEBHOOK_URL", "https:///hunter2"),
        ("TIME_ZONE", "Mars/hunter2"),
        ("TIME_ZONE", ""),
    ],
)
def test_a_wrong_value_is_one_line_with_the_variables_name_and_without_the_value(
    read: Read, variable: str, value: str
) -> None:
    error = error_of(read, **{variable: value})
    assert error.startswith(f"{variable}: ")
    assert "\n" not in error
    assert "hunter2" not in error


def test_all_wrong_values_are_reported_together(read: Read) -> None:
    error = error_of(read, DEBUG="x", SECRET_KEY="short", TIME_ZONE="Mars")
    assert all(f"{name}: " in error for name in ("DEBUG", "SECRET_KEY", "TIME_ZONE"))


def test_only_debug_has_a_default_secret_key(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY: "):
        environment.read(tmp_path)
    os.environ["DEBUG"] = "true"
    assert environment.read(tmp_path).secret_key


def test_variables_of_the_process_win_over_the_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=ERROR\nTIME_ZONE=America/Bahia\n", encoding="utf-8")
    found = read(LOG_LEVEL="DEBUG")
    assert (found.log_level, found.time_zone) == ("DEBUG", "America/Bahia")


def test_another_file_can_be_selected(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=ERROR\n", encoding="utf-8")
    (tmp_path / "other").write_text("LOG_LEVEL=DEBUG\n", encoding="utf-8")
    assert read(ENV_FILE=str(tmp_path / "other")).log_level == "DEBUG"


def test_a_selected_file_that_cannot_be_read_is_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"ENV_FILE: cannot read .*missing: No such file"):
        read(ENV_FILE=str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match="Is a directory"):
        read(ENV_FILE=str(tmp_path))


# --- old names --------------------------------------------------------------------------------------------------------
OLD_VALUES = {"INGEST_INSIDE": "true", "INGEST_BACKLOG": "7", "INGEST_FLOOD": "7", "INGEST_PARK_DAYS": "7"}


@pytest.mark.parametrize("old", environment.RENAMED)
def test_an_old_name_sets_the_renamed_variable(read: Read, old: str) -> None:
    new = environment.RENAMED[old]
    value = OLD_VALUES[old]
    assert getattr(read(**{old: value}), new.lower()) == getattr(read(**{new: value}), new.lower())


def test_the_new_name_wins_over_the_old_one(read: Read) -> None:
    assert read(INGEST_FLOOD="7", INGEST_RATE_LIMIT="8").ingest_rate_limit == 8


def test_an_old_name_in_the_file_is_read(read: Read, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("INGEST_FLOOD=7\n", encoding="utf-8")
    assert read().ingest_rate_limit == 7


@pytest.mark.parametrize("old", environment.RENAMED)
def test_an_old_name_is_a_warning_that_contains_the_new_one(
    old: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "configure", lambda _: None)
    read(**{old: OLD_VALUES[old]}, ENV_FILE=os.devnull)
    with capture() as logged:
        environment.configure_logging({})
    assert environment.RENAMED[old] in logged.one(context="general", level="WARN", message=old)["message"]


def test_the_new_names_are_no_warning(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "configure", lambda _: None)
    read(INGEST_RATE_LIMIT="7", ENV_FILE=os.devnull)
    with capture() as logged:
        environment.configure_logging({})
    assert not logged


# --- in a separate process --------------------------------------------------------------------------------------------
def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    known = {"ENV_FILE": os.devnull, "DATABASE_URL": "sqlite://:memory:", "LOG_DIR": variables.pop("LOG_DIR")}
    return subprocess.run(  # noqa: S603 - the test runs only the project's own command
        [sys.executable, "manage.py", *arguments],
        cwd=environment.BASE_DIR,
        env=known | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_settings_pass_djangos_deployment_checks(tmp_path: Path) -> None:
    arguments = ("check", "--deploy", "--fail-level", "WARNING")
    checked = manage(
        *arguments, SECRET_KEY=secrets.token_urlsafe(50), ALLOWED_HOSTS="wa.example", LOG_DIR=str(tmp_path)
    )
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_a_wrong_setting_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    failed = manage("check", SECRET_KEY="hunter2", LOG_LEVEL="loud", LOG_DIR=str(tmp_path))
    assert failed.returncode == 1
    assert failed.stdout == ""
    (line,) = failed.stderr.splitlines()
    assert line.startswith("configuration error: SECRET_KEY: ")
    assert "LOG_LEVEL: " in line
    assert "hunter2" not in line
