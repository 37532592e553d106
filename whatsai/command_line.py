"""The command line in the language of the installation (`LANGUAGE_CODE`), also where Django has no translation.

Texts that are needed before the settings are read, such as wrong settings, and those of `argparse` are translated by
`gettext` of Python's library, which needs no settings. It reads the catalogues that Django reads.
"""

import argparse
import copy
import gettext
import os
import sys
from collections.abc import Sequence
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand, DjangoHelpFormatter
from django.utils.translation import ngettext_lazy, to_locale

from whatsai import environment
from whatsai.environment import noop

DOMAIN = "django"  # the name of the catalogues
CATALOGUES = environment.BASE_DIR / "whatsai" / "locale"

# What Python and Django say in English.
PYTHON_TEXTS = (
    noop("usage: "),
    noop("positional arguments"),
    noop("options"),
    noop("show this help message and exit"),
    noop("%(prog)s: error: %(message)s\n"),
    noop("argument %(argument_name)s: %(message)s"),
    noop("the following arguments are required: %s"),
    noop("one of the arguments %s is required"),
    noop("not allowed with argument %s"),
    noop("unrecognized arguments: %s"),
    noop("ambiguous option: %(option)s could match %(matches)s"),
    noop("ignored explicit argument %r"),
    noop("invalid %(type)s value: %(value)r"),
    noop("invalid choice: %(value)r (choose from %(choices)s)"),
    noop("expected one argument"),
    noop("expected at most one argument"),
    noop("expected at least one argument"),
    ngettext_lazy("expected %s argument", "expected %s arguments"),
)
DJANGO_TEXTS = (
    noop("Show program's version number and exit."),
    noop("Verbosity level; 0=minimal output, 1=normal output, 2=verbose output, 3=very verbose output"),
    noop(
        'The Python path to a settings module, e.g. "myproject.settings.main". If this isn\'t provided, the '
        "DJANGO_SETTINGS_MODULE environment variable will be used."
    ),
    noop('A directory to add to the Python path, e.g. "/home/djangoprojects/myproject".'),
    noop("Display a full stack trace on CommandError exceptions."),
    noop("Don't colorize the command output."),
    noop("Force colorization of the command output."),
    noop("Skip system checks."),
)


def speak(language: str, catalogues: Path = CATALOGUES) -> None:
    """Let Python's `gettext`, and so `argparse`, speak a language; English, if there is no catalogue for it."""
    gettext.bindtextdomain(DOMAIN, str(catalogues))
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = to_locale(language)  # where `gettext` looks first


def speak_as_set() -> None:
    """Speak the language of the installation or, if its env file cannot be read, that of the process's environment.

    Raises:
        ImproperlyConfigured: the env file cannot be read.
    """
    speak(environment.default_language())
    speak(environment.read_language())


def run(arguments: Sequence[str]) -> None:
    """Run one management command; a wrong setting is reported in one line, without a traceback."""
    try:
        speak_as_set()
        CommandLine(list(arguments)).execute()
    except ImproperlyConfigured as error:
        sys.exit(_("configuration error: %(error)s") % {"error": error})


class CommandLine(ManagementUtility):
    """Django's commands and ours, with `--help` in the language of the installation."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return a command, whose help is translated when it is shown."""
        command = super().fetch_command(subcommand)
        command.create_parser = partial(command.create_parser, formatter_class=HelpFormatter)  # type: ignore[method-assign]  # the hook of Django is a method of each command
        return command


class HelpFormatter(DjangoHelpFormatter):
    """Formats the help of a command, whose texts are in English or translated already."""

    def add_text(self, text: Any) -> None:
        """Add the description of the command."""
        super().add_text(_(text) if text else text)

    def add_argument(self, action: argparse.Action) -> None:
        """Add the help of an argument."""
        shown = copy.copy(action)
        shown.help = action.help and _(action.help)
        super().add_argument(shown)
