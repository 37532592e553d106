"""The files of `make run` in `var/`: a secret key, the administrator's API token, and whether to load the demo.

All files that this module writes are readable by their owner only. The administrator's password is in none of them: it
is shown once, when it is created. The token belongs to one database: if the saved token is not valid in the current
database, a new token is created.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

USERNAME = "admin"


@dataclass(frozen=True)
class LocalState:
    """An API token of the administrator, and whether the demo must still be loaded."""

    token: str = ""
    demo_due: bool = False


def ensure_secret_key(file: Path) -> None:
    """Write a random secret key for the settings to `file`, unless the file exists.

    Raises:
        OSError: the file cannot be written.
    """
    if not file.exists():
        write(file, secrets.token_urlsafe(50) + "\n")


def ensure_access(file: Path) -> LocalState:
    """Create the administrator (without a password) and the API token if missing, and save the token in `file`.

    The caller must have called `django.setup()`.

    Raises:
        OSError: the file cannot be read or written.
    """
    from django.contrib.auth.models import User  # noqa: PLC0415 - models need django.setup() first

    from conversations.models import ApiToken, Instance  # noqa: PLC0415 - models need django.setup() first

    user, _ = User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True, "is_superuser": True})
    state = load(file)
    if not _is_valid_token(state.token):
        token = ApiToken.objects.issue(user, name="make run")[1]
        state = LocalState(token, demo_due=not Instance.objects.exists())
    return save(file, state)


def create_password() -> str:
    """Give the administrator a random password and return it; return "" if the administrator has a password."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - models need django.setup() first

    user = User.objects.get(username=USERNAME)
    if user.password:
        return ""
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def save(file: Path, state: LocalState) -> LocalState:
    """Write `state` to `file` unless the file already contains the same state; return `state`."""
    text = json.dumps(asdict(state), indent=2) + "\n"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write(file, text)
    return state


def load(file: Path) -> LocalState:
    """Return the state saved in `file`, or an empty state if the file is missing or invalid."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return LocalState(str(saved["token"]), demo_due=bool(saved["demo_due"]))
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return LocalState()


def write(file: Path, text: str) -> None:
    """Write a file atomically, so that only the file's owner can read it."""
    temporary = file.with_name(file.name + ".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    temporary.replace(file)


def _is_valid_token(token: str) -> bool:
    from conversations.access.reading import bearer_of  # noqa: PLC0415 - models need django.setup() first

    return bool(token) and bearer_of(token) is not None
