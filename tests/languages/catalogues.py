"""Reads, updates and compiles the catalogues, `whatsai/locale/…/LC_MESSAGES/django.po` and `.mo`.

The compiled files are in the repository, so that neither the site nor `make run` needs a tool to make them. Catalogues
have no dates and no line numbers, so that two changes seldom conflict.
"""

import datetime as dt
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings

from tests.languages.extraction import Text

SOURCE = "en"  # the language of the texts in the code
# The languages, with their forms of the plural as Django's catalogues have them.
PLURALS = {SOURCE: "nplurals=2; plural=(n != 1);", "pt_BR": "nplurals=2; plural=(n > 1);"}
LOCALES = tuple(PLURALS)
_DATE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def path_of(locale: str, ending: str = ".po") -> Path:
    """Return the path of a catalogue."""
    return Path(settings.LOCALE_PATHS[0], locale, "LC_MESSAGES", f"django{ending}")


def read(locale: str) -> Catalog:
    """Return a catalogue."""
    with path_of(locale).open("rb") as file:
        return with_header(read_po(file, locale=locale))


def updated(locale: str, found: Iterable[Text]) -> Catalog:
    """Return a catalogue with exactly the messages that were found; English ones are translated by themselves."""
    old = read(locale) if path_of(locale).exists() else Catalog(locale)
    new = with_header(Catalog(locale, project="WhatsAI", version="1", fuzzy=False))
    new.header_comment = "# The texts of WhatsAI; `make messages` updates this file."
    for context, text in found:
        known = old.get(text if isinstance(text, str) else text[0], context or None)
        is_known = known is not None and known.id == text and any(translations(known))
        string = known.string if known is not None and is_known else text if locale == SOURCE else ""
        new.add(text, string, flags=known.flags if known is not None else (), context=context or None)
    return new


def translations(message: Message) -> tuple[str, ...]:
    """Return the translations of a message: one, or one for each form of the plural."""
    return tuple(message.string) if isinstance(message.string, tuple | list) else (message.string or "",)


def po_of(catalogue: Catalog) -> bytes:
    """Return the text of a catalogue."""
    file = BytesIO()
    write_po(file, catalogue, width=120, no_location=True, sort_output=True, ignore_obsolete=True)
    return file.getvalue()


def mo_of(catalogue: Catalog) -> bytes:
    """Return the compiled form of a catalogue."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def with_header(catalogue: Catalog) -> Catalog:
    """Set the header, which has no dates and no people."""
    catalogue.creation_date = catalogue.revision_date = _DATE
    catalogue.last_translator, catalogue.language_team, catalogue.msgid_bugs_address = "", "", ""
    catalogue.mime_headers = [("Plural-Forms", PLURALS[str(catalogue.locale)])]
    return catalogue
