#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from whatsai import command_line, environment, private_files

if __name__ == "__main__":
    private_files.protect(environment.VAR)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    command_line.run(sys.argv)
