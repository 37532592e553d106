"""`manage.py cache_clear`: make entries invalid, by pattern, by namespace, or all."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cachelayer import cache
from cachelayer.protocol.tags import UnknownNamespace
from cachelayer.runtime.runtime import get_runtime


class Command(BaseCommand):
    """Clears in all processes. Nothing is lost: what is asked for next comes from the database."""

    help = "Make cached entries invalid, in all processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("pattern", nargs="?", help="a glob of names, such as 'conversations:instance:7*'")
        what.add_argument("--namespace", help="one namespace, in one step however large it is")
        what.add_argument("--all", action="store_true", help="everything, in one step")

    def handle(self, *_args: object, **options: Any) -> None:
        """Clear, and say what was done."""
        if options["pattern"] is not None:
            removed = cache.clear(options["pattern"])
            done = f"{removed} entries removed"
        elif options["namespace"]:
            try:
                cache.clear_namespace(options["namespace"])
            except UnknownNamespace as error:
                raise CommandError(str(error)) from None
            done = "the namespace is invalid"
        else:
            cache.clear_all()
            done = "everything is invalid"
        if get_runtime().bypasses_cache:
            done = "asked the server's process, whose cache it is; a running one does it within a second"
        self.stdout.write(done)
