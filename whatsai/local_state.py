"""The files of `make run` in `var/`: a secret key, the administrator's credentials, and whether to load the demo.

All files that this module writes are readable by their owner only. The password of an existing user `admin` is neither
changed nor stored. The credentials belong to one database: if the saved token is not valid in the current database, a
new token is created.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

USERNAME = "admin"


@dataclass(frozen=True)
class LocalState:
    """The administrator's password ("" if not known), an API token, and whether the demo must still be loaded."""

    password: str = ""
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
    """Create the administrator and the API token if missing, save both in `file`, and return the saved state.

    The caller must have called `django.setup()`.

    Raises:
        OSError: the file cannot be read or written.
    """
    from django.contrib.auth.models import User  # noqa: PLC0415 - models need django.setup() first
    from knox.models import get_token_model  # noqa: PLC0415 - models need django.setup() first

    from conversations.models import Instance  # noqa: PLC0415 - models need django.setup() first

    saved = load(file)
    password = saved.password or secrets.token_urlsafe(12)
    user = User.objects.filter(username=USERNAME).first() or User.objects.create_superuser(USERNAME, password=password)
    state = replace(saved, password=password if user.check_password(password) else "")
    if not _is_valid_token(saved.token):
        token = get_token_model().objects.create(user, expiry=None)[1]
        state = replace(state, token=token, demo_due=not Instance.objects.exists())
    return save(file, state)


def save(file: Path, state: LocalState) -> LocalState:
    """Write `state` to `file` unless the file already contains the same state; return `state`."""
    if state != load(file):
        write(file, json.dumps(asdict(state), indent=2) + "\n")
    return state


def load(file: Path) -> LocalState:
    """Return the state saved in `file`, or an empty state if the file is missing or invalid."""
    try:
        return LocalState(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return LocalState()


def write(file: Path, text: str) -> None:
    """Write a file atomically, so that only the file's owner can read it."""
    temporary = file.with_name(file.name + ".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    temporary.replace(file)


def _is_valid_token(token: str) -> bool:
    from knox.auth import TokenAuthentication  # noqa: PLC0415 - knox needs django.setup() first
    from rest_framework.exceptions import AuthenticationFailed  # noqa: PLC0415 - DRF needs django.setup() first

    try:
        TokenAuthentication().authenticate_credentials(token.encode())
    except AuthenticationFailed:
        return False
    return True
