"""`manage.py cache_audit`: compare a sample of cached entries with the database."""

import json
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from django.utils.translation import ngettext

from cachelayer.ops.audit import Auditor, Difference
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown, strip_fingerprint


class Command(BaseCommand):
    """Compares cached entries with the database; exits with status 1 if a second comparison confirms a difference."""

    help = noop("Compare a sample of cached entries with the database; exit with status 1 if any differ.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        parser.add_argument("--sample", type=int, default=1000, help=_("number of entries (default 1000)"))
        parser.add_argument(
            "--grace",
            type=float,
            default=2.0,
            metavar="SECONDS",
            help=_("wait this long before comparing again the entries that differ (default 2)"),
        )
        parser.add_argument("--json", action="store_true", help=_("print JSON"))

    def handle(self, *_args: object, **options: Any) -> None:
        """Compare a sample of entries, wait, and compare again the entries that differed."""
        runtime = get_runtime()
        if runtime.bypasses_cache:
            self.stdout.write(
                _(
                    "Nothing to audit: without REDIS_URL the entries are inside the server process, where this command "
                    "cannot read them."
                )
            )
            return
        auditor = Auditor(runtime, DEFAULT_DB_ALIAS)
        try:
            result = auditor.compare(auditor.sample(options["sample"]))
            if result.differences:
                time.sleep(options["grace"])
                second = auditor.compare(sorted({one.entry for one in result.differences}))
                result.differences &= second.differences
        except StoreDown as error:
            raise CommandError(_("the store does not answer: %(error)s") % {"error": error}) from None
        differences = sorted(result.differences, key=str)
        if options["json"]:
            report = {**asdict(result), "differences": [_as_json(one) for one in differences]}
            self.stdout.write(json.dumps(report, default=str))
        else:
            for one in differences:
                self.stdout.write(f"{strip_fingerprint(one.entry)}: {one.model} {one.pk} {one.translated}")
            self.stdout.write(_summary(result.entries, result.rows, len(differences)))
        if differences:
            sys.exit(1)


def _summary(entries: int, rows: int, differing: int) -> str:
    counts = {
        "entries": ngettext("%(count)d entry", "%(count)d entries", entries) % {"count": entries},
        "rows": ngettext("%(count)d row", "%(count)d rows", rows) % {"count": rows},
        "differ": ngettext("%(count)d row differs", "%(count)d rows differ", differing) % {"count": differing},
    }
    return _("Compared %(entries)s with %(rows)s; %(differ)s.") % counts


def _as_json(one: Difference) -> dict[str, object]:
    return {"entry": one.entry, "model": one.model, "pk": one.pk, "description": one.description}
