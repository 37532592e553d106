"""Checks of the values of environment variables.

Each check takes the text of one variable and raises `ValidationError` if it is wrong. The error's text quotes no value,
because values may be secret.
"""

from collections.abc import Callable
from gettext import gettext as _
from urllib.parse import SplitResult, parse_qs, urlsplit
from zoneinfo import available_timezones

import dj_database_url
from environs import ValidationError, validate

from logs import levels
from whatsai import mail_server, media_storage

DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")
WEB_SCHEMES = ("http", "https")
MIN_SECRET_KEY_CHARS = 50
MIN_METRICS_KEY_CHARS = 20
LANGUAGES = ("en", "en-us", "pt-br")


def in_range(minimum: float, maximum: float | None = None) -> validate.Range:
    """Return the check of a number that has a minimum and may have a maximum, both included."""
    text = _("must be at least {min}.") if maximum is None else _("must be from {min} to {max}.")
    return validate.Range(min=minimum, max=maximum, error=text)


def secret_key(value: str) -> None:
    """Reject keys that are too short."""
    if len(value) < MIN_SECRET_KEY_CHARS:
        raise ValidationError(
            _("must be a random text of at least %(count)s characters (only DEBUG=true has a default).")
            % {"count": MIN_SECRET_KEY_CHARS}
        )


def metrics_key(value: str) -> None:
    """Reject keys that are too short or cannot stand in an HTTP header."""
    if len(value) < MIN_METRICS_KEY_CHARS or not value.isascii() or " " in value:
        raise ValidationError(
            _("must be a random text of at least %(count)s ASCII characters, without spaces.")
            % {"count": MIN_METRICS_KEY_CHARS}
        )


def level(value: str) -> None:
    """Reject what is no name of a log level."""
    try:
        levels.number(value)
    except ValueError:
        raise ValidationError(_("must be one of %(names)s.") % {"names": ", ".join(levels.NAMES.values())}) from None


def _scheme(*names: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        try:
            scheme = urlsplit(value).scheme
        except ValueError:
            raise ValidationError(_("is not a URL; special characters in its parts must be URL-quoted.")) from None
        if scheme not in names:
            starts = ", ".join(f"{name}://" for name in names)
            raise ValidationError(_("must be a URL that starts with one of: %(starts)s.") % {"starts": starts})

    return check


def web_url(value: str) -> None:
    """Reject URLs of other schemes than HTTP, without a host or with a wrong port."""
    _scheme(*WEB_SCHEMES)(value)
    url = urlsplit(value)
    if not url.hostname:
        raise ValidationError(_("must name a host: https://inbox.example.com."))
    _check_port(url)


def optional(check: Callable[[str], None]) -> Callable[[str], None]:
    """Return `check` that also accepts the empty text."""
    return lambda value: check(value) if value else None


def each(check: Callable[[str], None]) -> Callable[[list[str]], None]:
    """Return the check of a list, each value of which passes `check`."""

    def check_all(values: list[str]) -> None:
        for value in values:
            check(value)

    return check_all


def database(value: str) -> None:
    """Reject URLs of databases that the project does not support."""
    _scheme(*DATABASE_SCHEMES)(value)
    try:
        dj_database_url.parse(value)
    except ValueError:
        raise ValidationError(_("is not a database URL; user, password and name must be URL-quoted.")) from None


def media_storage_url(value: str) -> None:
    """Reject what `media_storage` cannot read."""
    try:
        media_storage.storage(value)
    except ValueError as error:
        raise ValidationError(f"{error}.") from None


def mail_server_url(value: str) -> None:
    """Reject what `mail_server` cannot read."""
    try:
        mail_server.options(value)
    except ValueError:
        raise ValidationError(_("must be smtp://user:password@host:587, smtp+tls://… or smtps://…")) from None


def redis(value: str) -> None:
    """Reject URLs without a host or with a wrong database number, which redis-py would read as localhost or as 0."""
    _scheme(*REDIS_SCHEMES)(value)
    url, options = urlsplit(value), parse_qs(urlsplit(value).query, keep_blank_values=True)
    numbers = options.pop("db", [])
    if url.scheme != "unix" and url.path not in ("", "/"):
        numbers.append(url.path[1:])
    if not (url.path.strip("/") if url.scheme == "unix" else url.hostname):
        raise ValidationError(_("must name a server: redis://host:6379/0, rediss://host:6380/0 or unix:///path?db=0."))
    if len(numbers) > 1 or not all(number.isdecimal() for number in numbers):
        raise ValidationError(_("must name one database by its number: redis://host:6379/0 or unix:///path?db=0."))
    if not all(name.startswith("ssl_") for name in options):
        raise ValidationError(_("may have only the options db and ssl_…; the cache sets all others itself."))
    _check_port(url)


def _check_port(url: SplitResult) -> None:
    try:
        url.port  # noqa: B018 - raises ValueError for a wrong port
    except ValueError:
        raise ValidationError(_("must have a port from 0 to 65535.")) from None


def language(value: str) -> None:
    """Reject languages without a catalogue."""
    if value not in LANGUAGES:
        raise ValidationError(_("must be one of %(names)s.") % {"names": ", ".join(LANGUAGES)})


def time_zone(value: str) -> None:
    """Reject what the IANA database does not name."""
    if value not in available_timezones():
        raise ValidationError(_("must be a time zone of the IANA database, such as America/Sao_Paulo."))
