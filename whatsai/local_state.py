"""The local state of `make run` in `var/`: a secret key, the administrator's credentials, and whether to load the demo.

Only the owner can read the files. They contain only what was generated here: an existing user `admin` keeps their
password. They belong to one database; with another database the token is not valid, and everything is created again.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

USERNAME = "admin"


@dataclass(frozen=True)
class LocalState:
    """The administrator's password ("" if it is not known), an API token, and whether to load the demo."""

    password: str = ""
    token: str = ""
    demo_due: bool = False


def ensure_secret_key(file: Path) -> None:
    """Generate the secret key for the settings, unless the file exists.

    Raises:
        OSError: the file cannot be written.
    """
    if not file.exists():
        write(file, secrets.token_urlsafe(50) + "\n")


def ensure_access(file: Path) -> LocalState:
    """Create the administrator and the token if they are missing, save them in `file`, and return the valid state.

    Django must be set up.

    Raises:
        OSError: the file cannot be read or written.
    """
    # Models can be imported only after Django's setup(), which the caller runs after importing this module.
    from django.contrib.auth.models import User  # noqa: PLC0415 - see above
    from knox.models import get_token_model  # noqa: PLC0415 - see above

    from conversations.models import Instance  # noqa: PLC0415 - see above

    saved = load(file)
    password = saved.password or secrets.token_urlsafe(12)
    user = User.objects.filter(username=USERNAME).first() or User.objects.create_superuser(USERNAME, password=password)
    state = replace(saved, password=password if user.check_password(password) else "")
    if not _is_valid_token(saved.token):
        token = get_token_model().objects.create(user, expiry=None)[1]
        state = replace(state, token=token, demo_due=not Instance.objects.exists())
    return save(file, state)


def save(file: Path, state: LocalState) -> LocalState:
    """Write `state` to `file` unless the file contains it already; return it."""
    if state != load(file):
        write(file, json.dumps(asdict(state), indent=2) + "\n")
    return state


def load(file: Path) -> LocalState:
    """Return the state in `file`; an empty state if the file is missing or invalid."""
    try:
        return LocalState(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return LocalState()


def write(file: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only."""
    temporary = file.with_name(file.name + ".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    temporary.replace(file)


def _is_valid_token(token: str) -> bool:
    from knox.auth import TokenAuthentication  # noqa: PLC0415 - needs Django set up
    from rest_framework.exceptions import AuthenticationFailed  # noqa: PLC0415 - as above

    try:
        TokenAuthentication().authenticate_credentials(token.encode())
    except AuthenticationFailed:
        return False
    return True
