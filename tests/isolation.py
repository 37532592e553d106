"""Sets Django up for tests and benchmarks, isolated from the developer's environment.

The developer's `.env` and environment variables have no effect, and nothing is written to `var/`. Only the
variables `DATABASE_URL` and `REDIS_URL` are kept: they select the servers. Without the two variables, tests need no
servers.
"""

import atexit
import os
import secrets
from pathlib import Path

import django
from django.conf import settings

from tests.scratch import scratch_folder

KEPT_VARIABLES = ("DATABASE_URL", "REDIS_URL")


def set_up(database: str, settings_module: str = "whatsai.settings") -> None:
    """Replace all environment variables of the project, and call `django.setup`.

    Args:
        database: the database URL to use if DATABASE_URL is not set. `{scratch}` in the URL stands for a temporary
            folder, which is deleted when the process exits.
        settings_module: the settings of this process and of the processes that it starts.
    """
    folder = scratch_folder("scratch")
    atexit.register(folder.cleanup)
    scratch = Path(folder.name)
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if os.environ.get(name)}
    for name in _project_variables():
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": settings_module,
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DEBUG": "false",
        "HTTPS": "false",
        "LANGUAGE_CODE": "en",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "DATABASE_URL": database.format(scratch=scratch),
        "CACHE_PREFIX": f"test-{os.getpid()}",
        "LOG_DIR": str(scratch / "log"),
        "LOG_CONSOLE": "false",
        "MEDIA_DIR": str(scratch / "media"),
    }
    os.environ |= kept
    django.setup()
    # A worker of pytest-xdist has loaded the settings before, with the secret key of its parent process.
    os.environ["SECRET_KEY"] = settings.SECRET_KEY  # server processes must accept the sessions and entries of this one


def _project_variables() -> list[str]:
    """Return the names of all environment variables listed in `.env.example`."""
    example = Path(__file__).resolve().parent.parent / ".env.example"
    lines = example.read_text(encoding="utf-8").splitlines()
    return [line[2:].split("=")[0] for line in lines if line.startswith("# ") and line[2:].split("=")[0].isupper()]
