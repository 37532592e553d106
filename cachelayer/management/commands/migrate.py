"""`manage.py migrate`: Django's command, during which no process uses cached entries, even if the command fails."""

from typing import Any

from django.core.management.commands import migrate

from cachelayer import cache


class Command(migrate.Command):
    """Changes rows without Django's managers, in several transactions, of which a later one may fail."""

    def handle(self, *args: Any, **options: Any) -> Any:
        """Run the migrations. With the options `--plan` and `--check`, the command changes nothing."""
        if options["plan"] or options["check_unapplied"]:
            return super().handle(*args, **options)
        with cache.bypassed(using=options["database"]):
            return super().handle(*args, **options)
