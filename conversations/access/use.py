"""Notes when tokens were last used: in the memory of this process, and from there in the database.

A web process flushes its notes in the background (`inbox.web_background`), because no request should wait for a write.
The time is accurate to `PRECISION`, as each write makes all processes read the token again.
"""

import datetime as dt

from django.db import transaction
from django.utils import timezone

from conversations.models import ApiToken
from logs.fork import after_fork

PRECISION = dt.timedelta(hours=1)

_noted: dict[int, dt.datetime] = {}  # primary key of a token → when it was used
after_fork(_noted.clear)


def note(token: ApiToken) -> None:
    """Note that a token was read from the database, because a request has it."""
    now = timezone.now()
    if _is_outdated(token, now):
        _noted[token.pk] = now


def flush() -> None:
    """Write the noted times to the database.

    Raises:
        DatabaseError, InterfaceError: the database rejects a statement; the notes that are not written stay in memory.
    """
    for pk, at in list(_noted.items()):
        with transaction.atomic():
            token = ApiToken.objects.select_for_update(no_key=True).filter(pk=pk).first()
            if token is not None and _is_outdated(token, at):
                token.last_used_at = at
                token.save(update_fields=["last_used_at"])
        _noted.pop(pk, None)


def _is_outdated(token: ApiToken, now: dt.datetime) -> bool:
    return token.last_used_at is None or now - token.last_used_at >= PRECISION
