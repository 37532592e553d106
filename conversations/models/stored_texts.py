"""Texts that the database keeps in English, so that they mean the same to every reader and in the log.

A text that contains values is made from a template by `fill`. `translate` finds the template of a text, and says the
same in the language of the reader. A text of another version may have no template; it is shown as it is.
"""

import datetime as dt
import re
from collections.abc import Iterable
from functools import cache

from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

# A text with values such as `%(name)s`; or a pair of such texts, for one and for many of `%(count)s`.
Template = str | tuple[str, str]
TIME = "%Y-%m-%d %H:%M"  # how `%(time)s` is stored, in UTC


def plural(one: str, many: str) -> tuple[str, str]:
    """Mark a template for translation, with its form for many."""
    return one, many


def fill(template: Template, **values: object) -> str:
    """Return the text, in English, that a template makes of values."""
    return (template if isinstance(template, str) else template[values["count"] != 1]) % values


def translate(text: str, templates: Iterable[Template] = ()) -> str:
    """Return a stored text in the language that is active.

    Args:
        text: the text, in English.
        templates: the templates that it may have been made from.
    """
    templates = tuple(templates)
    for template in templates:
        for form in (template,) if isinstance(template, str) else template:
            if found := _pattern(form).fullmatch(text):
                values = {name: _shown(name, value, templates) for name, value in found.groupdict().items()}
                shown = gettext(form) if isinstance(template, str) else ngettext(*template, int(values["count"]))
                return shown % values
    return gettext(text) if text else ""


def _shown(name: str, value: str, templates: tuple[Template, ...]) -> str:
    """Return a value as the language writes it: a time, or what may be a text itself."""
    if name != "time":
        return translate(value, templates)
    try:
        moment = dt.datetime.strptime(value, TIME).replace(tzinfo=dt.UTC)
    except ValueError:
        return value
    return date_format(moment, "SHORT_DATETIME_FORMAT")


@cache
def _pattern(form: str) -> re.Pattern[str]:
    """Return the pattern of the texts that a form of a template makes."""
    pattern = re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(form))
    return re.compile(pattern.replace("(?P<count>.+)", "(?P<count>[0-9]{1,18})"), re.DOTALL)
