"""Django's `LOGGING_CONFIG`: where records go and how they look, from a level and a directory.

At a terminal a line is for people; in `whatsai.log` it is JSON for machines, rotated at 10 MB.
"""

import logging.config
from pathlib import Path
from typing import Any

ROTATE_AT = 10 * 1024 * 1024  # bytes
KEEP = 5  # old files

JSON_FIELDS = ["timestamp", "levelname", "name", "message"]


def configure(options: dict[str, Any]) -> None:
    """Set the standard library's logging up.

    Args:
        options: `level`, a level's name, and `directory`, a path that is made when it is not there.
    """
    directory = Path(options["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    logging.config.dictConfig(_dict_config(options["level"], directory / "whatsai.log"))


def _dict_config(level: str, file: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": "logs.redaction.RedactionFilter"}},
        "formatters": {
            "console": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": JSON_FIELDS,
                "rename_fields": {"levelname": "level"},
                "timestamp": True,
            },
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "console",
                "filters": ["redact"],
            },
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "filename": file,
                "maxBytes": ROTATE_AT,
                "backupCount": KEEP,
                "encoding": "utf-8",
                "delay": True,
                "formatter": "json",
                "filters": ["redact"],
            },
        },
        "root": {"level": "WARNING", "handlers": ["console", "file"]},
        "loggers": {"whatsai": {"level": level}, "django": {"level": level}},
    }
