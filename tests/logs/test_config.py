"""Django's LOGGING setting, the web server and other programs can configure the logging service."""

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
    """Return a function that configures the logging service; after the test, restore the previous configuration."""
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
    ("chosen", "project", "libraries", "queries"),
    [
        ("DEBUG", "DEBUG", "WARN", "INFO"),
        ("info", "INFO", "WARN", "INFO"),
        ("WARNING", "WARN", "WARN", "WARN"),
        ("FATAL", "FATAL", "FATAL", "FATAL"),
    ],
)
def test_the_level_applies_to_the_project_and_to_django(
    chosen: str, project: str, libraries: str, queries: str, configured: Any
) -> None:
    configured(level=chosen)
    assert [level(name) for name in ("whatsai.cache", "django.request", "redis", None)] == [
        project,
        project,
        libraries,
        libraries,
    ]
    assert level("django.db.backends") == queries
    assert level("gunicorn.access") == level("django.server") == libraries


def test_records_of_libraries_are_written_to_their_contexts(configured: Any, directory: Path) -> None:
    handler = configured()
    for name in ("django.request", "rest_framework", "gunicorn.error", "redis", "django.db.backends", "py.warnings"):
        logging.getLogger(name).error("of %s", name)
    handler.flush()
    assert messages(directory, "api-errors.log") == ["of django.request", "of rest_framework"]
    assert messages(directory, "general-errors.log") == ["of gunicorn.error", "of py.warnings"]
    assert messages(directory, "cache-errors.log") == ["of redis"]
    assert messages(directory, "database-errors.log") == ["of django.db.backends"]


def test_python_warnings_are_logged(configured: Any, directory: Path) -> None:
    handler = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    handler.flush()
    (line,) = lines(directory, "general.log")
    assert (line["level"], line["logger"]) == ("WARN", "py.warnings")


def test_reconfiguration_writes_the_queued_records(configured: Any, directory: Path) -> None:
    configured()
    for place in range(100):
        logging.getLogger("whatsai.cache").info("%d", place)
    configured()
    assert messages(directory) == [str(place) for place in range(100)]


def test_the_configuration_works_with_dict_config_alone(configured: Any, tmp_path: Path) -> None:
    configured()
    logging.config.dictConfig(build_dict_config(Options(directory=tmp_path / "other", console=False)))
    logging.getLogger("whatsai.media").info("here")
    for handler in logging.getLogger().handlers:
        handler.flush()
    assert messages(tmp_path / "other", "media.log") == ["here"]


def test_a_wrong_level_is_an_error(configured: Any) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configured(level="LOUD")


def test_no_folder_is_created_before_the_first_record(configured: Any, directory: Path) -> None:
    configured()
    assert not directory.exists()


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match=r"LOG_DIR: cannot write to .*file/log: Not a directory"):
        config.check_writable(tmp_path / "file" / "log")


def test_the_writability_check_leaves_no_file_behind(directory: Path) -> None:
    directory.mkdir(parents=True)
    config.check_writable(directory)
    assert list(directory.iterdir()) == []


def test_the_settings_of_the_project_pass_the_system_checks() -> None:
    call_command("check")
    assert settings.LOGGING["directory"] == settings.LOG_DIR
