"""`manage.py flush`: Django's command, during which no process uses cached entries, even if the command fails."""

from typing import Any

from django.core.management.commands import flush

from cachelayer import cache


class Command(flush.Command):
    """Deletes all rows without Django's managers."""

    def handle(self, **options: Any) -> Any:
        """Delete all rows."""
        with cache.bypassed(using=options["database"]):
            return super().handle(**options)
