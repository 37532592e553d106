"""What `make run` keeps of this machine in `var/`, in files of their owner's: a secret key, a way in, the demo's state.

A user called `admin` who is there already keeps their password: the files only remember what was made here. They hold
for one database; on another, or on a new one, the kept token opens nothing and everything is made again.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

USERNAME = "admin"


@dataclass(frozen=True)
class LocalState:
    """The way in: the administrator's password ("" when it is not known), an API token, and whether a demo is due."""

    password: str = ""
    token: str = ""
    demo_due: bool = False


def ensure_secret_key(file: Path) -> None:
    """Make the secret key that the settings read, once.

    Raises:
        OSError: the file cannot be written.
    """
    if not file.exists():
        write(file, secrets.token_urlsafe(50) + "\n")


def ensure_access(file: Path) -> LocalState:
    """Make the user and the token that are missing, keep them in `file`, and return what works. Needs Django set up.

    Raises:
        OSError: the file cannot be read or written.
    """
    # Models can be imported only after Django's setup(), which the caller may do as late as it likes.
    from django.contrib.auth.models import User  # noqa: PLC0415 - see above
    from knox.models import get_token_model  # noqa: PLC0415 - see above

    from conversations.models import Instance  # noqa: PLC0415 - see above

    known = load(file)
    password = known.password or secrets.token_urlsafe(12)
    user = User.objects.filter(username=USERNAME).first() or User.objects.create_superuser(USERNAME, password=password)
    made = replace(known, password=password if user.check_password(password) else "")
    if not _opens(known.token):
        token = get_token_model().objects.create(user, expiry=None)[1]
        made = replace(made, token=token, demo_due=not Instance.objects.exists())
    return save(file, made)


def save(file: Path, local: LocalState) -> LocalState:
    """Write `local` to `file`, unless that is what it holds, and return it."""
    if local != load(file):
        write(file, json.dumps(asdict(local), indent=2) + "\n")
    return local


def load(file: Path) -> LocalState:
    """Return what `file` keeps; nothing where it is not there or not readable as such."""
    try:
        return LocalState(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return LocalState()


def write(file: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    part.replace(file)


def _opens(token: str) -> bool:
    from knox.auth import TokenAuthentication  # noqa: PLC0415 - needs Django set up
    from rest_framework.exceptions import AuthenticationFailed  # noqa: PLC0415 - as above

    try:
        TokenAuthentication().authenticate_credentials(token.encode())
    except AuthenticationFailed:
        return False
    return True
