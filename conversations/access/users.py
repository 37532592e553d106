"""Invalidates cached access when a user changes. Django's user model has no invalidation rule of its own."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models.signals import post_delete, post_save

from cachelayer import cache


def connect() -> None:
    """Connect the receivers of Django's signals about users."""
    for signal in (post_save, post_delete):
        signal.connect(_touch_access, sender=User, weak=False, dispatch_uid=(__name__, signal))


def _touch_access(instance: User, using: str, *, raw: bool = False, **_signal: Any) -> None:
    if not raw and instance.pk is not None:
        cache.touch(f"access:user:{instance.pk}", using=using)
