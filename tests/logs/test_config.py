"""How logging is set up: by Django's setting, by the server, by any program."""

import logging
import logging.config
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from logs import config
from logs.config import Options, build_dict_config, configure
from logs.handler import ServiceHandler
from tests.logs.conftest import lines, messages


@pytest.fixture
def configured(directory: Path) -> Iterator[Any]:
    """Return what configures the service anew; afterwards it is as it was."""
    before = signal.getsignal(signal.SIGTERM)

    def one(**options: Any) -> ServiceHandler:
        configure({"directory": directory, "console": False, **options})
        (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, ServiceHandler))
        return handler

    yield one
    signal.signal(signal.SIGTERM, before)
    configure(settings.LOGGING)


def level(name: str | None) -> str:
    return logging.getLevelName(logging.getLogger(name).getEffectiveLevel())


@pytest.mark.parametrize(
    ("chosen", "ours", "libraries", "queries"),
    [
        ("DEBUG", "DEBUG", "WARN", "INFO"),
        ("info", "INFO", "WARN", "INFO"),
        ("WARNING", "WARN", "WARN", "WARN"),
        ("FATAL", "FATAL", "FATAL", "FATAL"),
    ],
)
def test_the_level_is_of_what_is_ours_and_of_django(
    chosen: str, ours: str, libraries: str, queries: str, configured: Any
) -> None:
    configured(level=chosen)
    assert [level(name) for name in ("whatsai.cache", "django.request", "redis", None)] == [
        ours,
        ours,
        libraries,
        libraries,
    ]
    assert level("django.db.backends") == queries
    assert level("gunicorn.access") == level("django.server") == libraries


def test_what_libraries_log_lands_in_its_context(configured: Any, directory: Path) -> None:
    handler = configured()
    for name in ("django.request", "rest_framework", "gunicorn.error", "redis", "django.db.backends", "py.warnings"):
        logging.getLogger(name).error("of %s", name)
    handler.flush()
    assert messages(directory, "api-errors.log") == ["of django.request", "of rest_framework"]
    assert messages(directory, "general-errors.log") == ["of gunicorn.error", "of py.warnings"]
    assert messages(directory, "cache-errors.log") == ["of redis"]
    assert messages(directory, "database-errors.log") == ["of django.db.backends"]


def test_a_warning_of_python_is_a_line(configured: Any, directory: Path) -> None:
    handler = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    handler.flush()
    (line,) = lines(directory, "general.log")
    assert (line["level"], line["logger"]) == ("WARN", "py.warnings")


def test_what_waited_in_a_service_is_written_when_another_takes_its_place(configured: Any, directory: Path) -> None:
    configured()
    for place in range(100):
        logging.getLogger("whatsai.cache").info("%d", place)
    configured()
    assert messages(directory) == [str(place) for place in range(100)]


def test_any_program_may_use_the_description(configured: Any, tmp_path: Path) -> None:
    configured()
    logging.config.dictConfig(build_dict_config(Options(directory=tmp_path / "other", console=False)))
    logging.getLogger("whatsai.media").info("here")
    for handler in logging.getLogger().handlers:
        handler.flush()
    assert messages(tmp_path / "other", "media.log") == ["here"]


def test_a_wrong_level_is_an_error_that_names_the_right_ones(configured: Any) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configured(level="LOUD")


def test_nothing_is_made_before_something_is_logged(configured: Any, directory: Path) -> None:
    configured()
    assert not directory.exists()


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match=r"LOG_DIR: cannot write to .*file/log: Not a directory"):
        config.check_writable(tmp_path / "file" / "log")


def test_probing_leaves_nothing_behind(directory: Path) -> None:
    directory.mkdir(parents=True)
    config.check_writable(directory)
    assert list(directory.iterdir()) == []


def test_the_projects_own_settings_pass_their_checks() -> None:
    call_command("check")
    assert settings.LOGGING["directory"] == settings.LOG_DIR
