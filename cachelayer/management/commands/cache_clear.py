"""`manage.py cache_clear`: invalidate all cached entries, those of a namespace, or those that match a pattern."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from django.utils.translation import ngettext

from cachelayer import cache
from cachelayer.protocol.tags import UnknownNamespace
from cachelayer.runtime.runtime import get_runtime, namespaces


class Command(BaseCommand):
    """Clears the cache of all processes. No data is lost, because the next reads load from the database."""

    help = noop("Invalidate cached entries in all processes.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument(
            "pattern",
            nargs="?",
            metavar="PATTERN",
            help=_("glob; removes the entries whose name matches, as 'conversations:instance:7*'"),
        )
        scope.add_argument("--namespace", help=_("invalidate all entries of this namespace, in one step"))
        scope.add_argument("--all", action="store_true", help=_("invalidate all entries, in one step"))

    def handle(self, *_args: object, **options: Any) -> None:
        """Invalidate the chosen entries, and print what was done."""
        if options["pattern"] is not None:
            removed = cache.clear(options["pattern"])
            message = ngettext("%(count)d entry removed", "%(count)d entries removed", removed) % {"count": removed}
        elif options["namespace"]:
            try:
                cache.clear_namespace(options["namespace"])
            except UnknownNamespace:
                text = _("no namespace is named %(name)r; the namespaces are %(names)s")
                names = {"name": options["namespace"], "names": ", ".join(space.name for space in namespaces)}
                raise CommandError(text % names) from None
            message = _("all entries of the namespace %(name)s invalidated") % {"name": options["namespace"]}
        else:
            cache.clear_all()
            message = _("all entries invalidated")
        if get_runtime().bypasses_cache:
            message = _(
                "request recorded; the server process, which owns the cache, clears it within a second if it runs"
            )
        self.stdout.write(message)
