"""`manage.py doctor`: examines a deployment, and says what is wrong with it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext_noop as noop

from conversations.doctor import alarms, database, evolution, site, store
from conversations.doctor.findings import Level


class Command(BaseCommand):
    """Prints one line for each finding; exits with status 1 if there is a problem. It changes nothing."""

    help = noop(
        "Examine the deployment: database, shared store, public address, clocks, disks, workers, Evolution's settings, "
        "alarms."
    )
    requires_system_checks = ()  # they are findings

    def handle(self, *_args: object, **_options: Any) -> None:
        """Print the findings, the worst last."""
        findings = [*database.examine(), *store.examine(), *site.examine(), *alarms.examine()]
        if database.is_usable():
            findings += [*evolution.examine(), *alarms.examine_messages()]
        order = list(Level)
        for level, text in sorted(findings, key=lambda finding: order.index(finding.level)):
            self.stdout.write(f"{level.word:<8}  {text}")
        if any(finding.level == Level.PROBLEM for finding in findings):
            sys.exit(1)
