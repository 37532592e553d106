"""An environment for tests and benchmarks: nothing of the developer's leaks in, nothing reaches `var/`.

Which servers a run is on is its caller's to say, by `DATABASE_URL` and `REDIS_URL`; without them it needs none.
"""

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import django

KEPT = ("DATABASE_URL", "REDIS_URL")


def set_up(database: str) -> None:
    """Set Django up apart from everything.

    Args:
        database: the URL of the database when the environment names none; `{scratch}` in it is a folder that goes.
    """
    scratch = Path(tempfile.mkdtemp(prefix="whatsai-scratch-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    from_outside = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    for name in _variables():
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "whatsai.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DEBUG": "false",
        "HTTPS": "false",
        "DATABASE_URL": database.format(scratch=scratch),
        "CACHE_PREFIX": f"test-{os.getpid()}",
        "LOG_DIR": str(scratch / "log"),
        "LOG_CONSOLE": "false",
        "MEDIA_DIR": str(scratch / "media"),
    }
    os.environ |= from_outside
    django.setup()


def _variables() -> list[str]:
    """Every variable of the project, as `.env.example` names them."""
    example = Path(__file__).resolve().parent.parent / ".env.example"
    lines = example.read_text(encoding="utf-8").splitlines()
    return [line[2:].split("=")[0] for line in lines if line.startswith("# ") and line[2:].split("=")[0].isupper()]
