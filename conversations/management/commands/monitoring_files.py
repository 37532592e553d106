"""`manage.py monitoring_files`: writes a dashboard for Grafana and alerts for Prometheus."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from conversations.monitoring.files import files


class Command(BaseCommand):
    """Writes the files that are made from the tables of metrics and alarm rules."""

    help = noop("Write a dashboard for Grafana and alerts for Prometheus, which fit this version.")
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument(
            "folder",
            nargs="?",
            metavar="FOLDER",
            type=Path,
            default=Path("docs/monitoring"),
            help=_("default: %(default)s"),
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Write the files."""
        folder: Path = options["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (folder / name).write_text(content, encoding="utf-8")
            self.stdout.write(str(folder / name))
