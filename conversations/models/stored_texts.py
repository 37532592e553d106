"""Translates texts that the database keeps in English, so that they mean the same to every reader and in the log.

A text that contains values was made from a template. It is translated by finding its template.
"""

import re
from collections.abc import Iterable

from django.utils.translation import gettext


def translate(text: str, templates: Iterable[str] = ()) -> str:
    """Return a stored text in the language that is active.

    Args:
        text: the text, in English.
        templates: the templates that it may have been made from, with values such as `%(name)s`.
    """
    templates = tuple(templates)
    for template in templates:
        pattern = re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(template))
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return gettext(template) % {name: translate(value, templates) for name, value in found.groupdict().items()}
    return gettext(text) if text else ""
