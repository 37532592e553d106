"""`manage.py cache_audit`: is what the cache believes what the database says?"""

import json
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from cachelayer.ops.audit import Auditor
from cachelayer.runtime.runtime import get_runtime
from cachelayer.stores.base import StoreDown, strip_fingerprint


class Command(BaseCommand):
    """Exit status 1 if an entry differs from the database, and goes on doing so."""

    help = "Compare a sample of cached entries with the database; exit status 1 if any differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--sample", type=int, default=1000, help="entries (default 1000)")
        parser.add_argument(
            "--grace", type=float, default=2.0, metavar="SECONDS", help="before a difference is looked at again (2)"
        )
        parser.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *_args: object, **options: Any) -> None:
        """Look, wait, look again at what differed."""
        runtime = get_runtime()
        if runtime.bypasses_cache:
            self.stdout.write("Without REDIS_URL the entries are inside the server's process, where none can look.")
            return
        auditor = Auditor(runtime, DEFAULT_DB_ALIAS)
        try:
            result = auditor.compare(auditor.sample(options["sample"]))
            if result.differences:
                time.sleep(options["grace"])
                again = auditor.compare(sorted({one.entry for one in result.differences}))
                result.differences &= again.differences
        except StoreDown as error:
            raise CommandError(f"the store does not answer: {error}") from None
        found = sorted(result.differences, key=str)
        if options["json"]:
            report = {**asdict(result), "differences": [asdict(one) for one in found]}
            self.stdout.write(json.dumps(report, default=str))
        else:
            for one in found:
                self.stdout.write(f"{strip_fingerprint(one.entry)}: {one.model} {one.pk} {one.description}")
            self.stdout.write(f"{result.entries} entries with {result.rows} rows, {len(found)} disagreements")
        if found:
            sys.exit(1)
