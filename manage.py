#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from whatsai import environment, private_files


def main() -> None:
    """Run one management command; a wrong setting is reported in one line, without a traceback."""
    private_files.protect(environment.VAR)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"configuration error: {error}")


if __name__ == "__main__":
    main()
