"""Tells whether the session of a user who has logged in has not ended, and finds a session by a hash of its key."""

import hashlib

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare


def session_digest(session_key: str) -> str:
    """Return what names a session in a URL. Nobody can compute the session's key from it, because keys are random."""
    return hashlib.sha256(session_key.encode()).hexdigest()


def find_session_key(digest: str) -> str | None:
    """Return the key of a session that has not ended; None if there is none. This looks at all sessions."""
    keys = Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_key", flat=True)
    return next((key for key in keys.iterator() if constant_time_compare(session_digest(key), digest)), None)


def is_live(session_key: str, user: User) -> bool:
    """Return whether a session of a user has not ended; a new password ends the sessions of the user."""
    session = Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now()).first()
    content = session.get_decoded() if session is not None else {}
    if str(content.get(SESSION_KEY)) != str(user.pk):
        return False
    known = str(content.get(HASH_SESSION_KEY, ""))
    return any(constant_time_compare(known, valid) for valid in _hashes(user))


def _hashes(user: User) -> list[str]:
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
