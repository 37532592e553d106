"""`manage.py verify_restore`: proves that a backup can be restored, by examining a restored copy."""

import datetime as dt
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from conversations.doctor import database, restored
from conversations.doctor.findings import Finding, Level


class Command(BaseCommand):
    """Examines the database and the media of its settings; exits with status 1 if there is a problem."""

    help = noop(
        "Examine a restored copy: run this with DATABASE_URL and MEDIA_DIR of the copy, and with REDIS_URL empty. It "
        "changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command-line options."""
        parser.add_argument(
            "--conversations",
            type=int,
            default=1000,
            help=_("compare so many with their messages (default %(default)s)"),
        )
        parser.add_argument("--media", type=int, default=1000, help=_("read so many files (default %(default)s)"))
        parser.add_argument(
            "--max-age", type=float, metavar="HOURS", help=_("the newest message must have been received since then")
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Print what is right and what is wrong."""
        findings: list[Finding] = list(database.examine_schema())
        if database.is_usable():
            hours = options["max_age"]
            findings += restored.examine(
                conversations=options["conversations"],
                media=options["media"],
                max_age=None if hours is None else dt.timedelta(hours=hours),
            )
        for level, text in findings:
            self.stdout.write(f"{level.word:<8}  {text}")
        if any(finding.level == Level.PROBLEM for finding in findings):
            sys.exit(1)
