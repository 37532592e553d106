"""Django's sessions in the database, without looking for session keys that PostgreSQL rejects.

A cookie can contain any character as an escape, and PostgreSQL raises an error for a text with NUL.
"""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """A session whose key contains no NUL; the session of another key is a new one."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(None if session_key and "\x00" in session_key else session_key)
