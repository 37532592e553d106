"""Reads the environment variables of the project, with their types and defaults.

One `ImproperlyConfigured` error reports all wrong variables. The error text names each wrong variable and quotes no
value, because values may be secret. `settings.py` reads environment variables only through this module.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit
from zoneinfo import available_timezones

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, ValidationError, validate

from logs import config, levels
from logs.contexts import Context
from whatsai import mail_server, media_storage, tracing

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"  # the default folder of everything that the site writes

DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")
WEB_SCHEMES = ("http", "https")
MIN_SECRET_KEY_CHARS = 50
MIN_METRICS_KEY_CHARS = 20
LANGUAGES = ("en", "en-us", "pt-br")
LOCALE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # of the machine; the first that is set counts
URL_FILE = "var/url"  # where `make run` writes the URL of the site that it serves


def noop(text: str) -> str:
    """Mark a text for translation, as Django's `gettext_noop` does, which needs the settings."""
    return text


# What the library that reads variables says.
LIBRARY_TEXTS = (
    noop("Environment variable not set."),
    noop("Not a valid boolean."),
    noop("Not a valid integer."),
    noop("Not a valid number."),
    noop("String does not match expected pattern."),
)

# Old name of an environment variable → new name. Old names of environment variables work in this release only.
RENAMED = {
    "INGEST_INSIDE": "INGEST_IN_WEB_PROCESS",
    "INGEST_BACKLOG": "INGEST_QUEUE_LIMIT",
    "INGEST_FLOOD": "INGEST_RATE_LIMIT",
    "INGEST_PARK_DAYS": "INGEST_PENDING_DAYS",
}


@dataclass(frozen=True)
class Environment:
    """The checked values of the environment variables; each field has the name of a variable in lower case."""

    debug: bool
    https: bool
    secret_key: str
    secret_key_fallbacks: list[str]
    allowed_hosts: list[str]
    csrf_trusted_origins: list[str]
    cors_allowed_origins: list[str]
    api_rate_limit: int
    api_address_rate_limit: int
    database: dict[str, Any]
    redis_url: str
    cache_prefix: str
    cache_local_mb: float
    log_dir: Path
    log_level: str
    log_keep: int
    log_console: bool
    log_slow_sql_ms: float
    media_dir: Path
    media_storage_url: str
    media_keep_days: float
    changes_keep_days: float
    readings_keep_days: float
    ingest_in_web_process: bool
    ingest_window: float
    ingest_interval: float
    ingest_queue_limit: int
    ingest_rate_limit: float
    ingest_keep_days: float
    ingest_keep_mb: int
    ingest_pending_days: float
    metrics_key: str
    alarm_email: list[str]
    alarm_webhook_url: str
    alarm_silent_hours: int
    audit_minutes: float
    probe_url: str
    probe_seconds: float
    email_url: str
    email_from: str
    public_url: str
    webhooks_allow_private: bool
    time_zone: str
    language_code: str

    @property
    def logging(self) -> dict[str, Any]:
        """The options for `logs.config`, used by the setting `LOGGING` and by the configuration of gunicorn."""
        return {
            "directory": self.log_dir,
            "level": self.log_level,
            "backup_count": self.log_keep,
            "console": self.log_console,
            "redaction_key": self.secret_key,
        }

    @property
    def ingest(self) -> dict[str, Any]:
        """The options for `conversations.ingest.conf`, used by the setting `INGEST`."""
        prefix = "ingest_"
        options = {
            name.removeprefix(prefix).upper(): value for name, value in vars(self).items() if name.startswith(prefix)
        }
        keep = {
            name: getattr(self, name.lower()) for name in ("MEDIA_KEEP_DAYS", "CHANGES_KEEP_DAYS", "READINGS_KEEP_DAYS")
        }
        return {**options, **keep}


def open_env(base_dir: Path = BASE_DIR) -> Env:
    """Return an object that reads variables from the process's environment or, if not set there, from an env file.

    The variable `ENV_FILE` names the env file; the default is `.env`. If a variable is set only under an old name, the
    variable's new name is set to the same value.

    Raises:
        ImproperlyConfigured: the env file cannot be read, or `ENV_FILE` names one that does not exist.
    """
    env = Env(eager=False)
    named, default = os.environ.get("ENV_FILE"), base_dir / ".env"
    if named or default.exists():
        _check_readable(named or default)
        env.read_env(named or default, recurse=False)
    for old, new in RENAMED.items():
        if (value := env.str(old, None)) is not None and env.str(new, None) is None:
            os.environ[new] = value
    return env


def _check_readable(file: str | Path) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        text = _("ENV_FILE: cannot read %(file)s: %(error)s")
        raise ImproperlyConfigured(text % {"file": file, "error": error.strerror}) from None


def configure_logging(options: dict[str, Any]) -> None:
    """Configure logging and traces as Django's `LOGGING_CONFIG`, and warn of each variable with an old name.

    Raises:
        ImproperlyConfigured: the log directory is not writable, or the packages for traces are missing.
    """
    config.configure(options)
    tracing.configure()
    env = open_env()
    for old, new in RENAMED.items():
        if env.str(old, None) is not None:
            Context.GENERAL.logger.warning("Setting RENAMED: %s is now %s; the next release ignores %s", old, new, old)


def read(base_dir: Path = BASE_DIR) -> Environment:
    """Read and check all environment variables.

    Raises:
        ImproperlyConfigured: a variable is missing or wrong; the error text is one line that names all such variables.
    """
    env = open_env(base_dir)
    debug = env.bool("DEBUG", default=False)
    database = env.str("DATABASE_URL", default=f"sqlite:///{base_dir}/var/db.sqlite3", validate=_database)
    values = {
        "debug": debug,
        "https": env.bool("HTTPS", default=not debug),
        "secret_key": env.str("SECRET_KEY", validate=_secret_key, **_default_secret_key(base_dir, debug=debug)),
        "secret_key_fallbacks": env.list("SECRET_KEY_FALLBACKS", default=[], validate=_each(_secret_key)),
        "allowed_hosts": env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"]),
        "csrf_trusted_origins": env.list("CSRF_TRUSTED_ORIGINS", default=[], validate=_each(_web_url)),
        "cors_allowed_origins": env.list("CORS_ALLOWED_ORIGINS", default=[], validate=_each(_web_url)),
        "api_rate_limit": env.int("API_RATE_LIMIT", default=6000, validate=_range(0)),
        "api_address_rate_limit": env.int("API_ADDRESS_RATE_LIMIT", default=3000, validate=_range(0)),
        "database": database,
        "redis_url": env.str("REDIS_URL", default="", validate=_optional(_redis)),
        "cache_prefix": env.str("CACHE_PREFIX", default="whatsai", validate=validate.Regexp(r"^[\w.-]+$")),
        "cache_local_mb": env.float("CACHE_LOCAL_MB", default=64.0, validate=_range(1)),
        "log_dir": env.path("LOG_DIR", default=base_dir / "var" / "log"),
        "log_level": env.str("LOG_LEVEL", default="INFO", validate=_level),
        "log_keep": env.int("LOG_KEEP", default=5, validate=_range(1, 1000)),
        "log_console": env.bool("LOG_CONSOLE", default=True),
        "log_slow_sql_ms": env.float("LOG_SLOW_SQL_MS", default=200.0, validate=_range(0)),
        "media_dir": env.path("MEDIA_DIR", default=base_dir / "var" / "media"),
        "media_storage_url": env.str("MEDIA_STORAGE_URL", default="", validate=_media_storage),
        "media_keep_days": env.float("MEDIA_KEEP_DAYS", default=0.0, validate=_range(0)),
        "changes_keep_days": env.float("CHANGES_KEEP_DAYS", default=7.0, validate=_range(0.1)),
        "readings_keep_days": env.float("READINGS_KEEP_DAYS", default=365.0, validate=_range(1)),
        # With SQLite, the web process is the only process, so the ingestion must run inside the web process.
        "ingest_in_web_process": env.bool("INGEST_IN_WEB_PROCESS", default=str(database).startswith("sqlite")),
        "ingest_window": env.float("INGEST_WINDOW", default=1.0, validate=_range(0, 60)),
        "ingest_interval": env.float("INGEST_INTERVAL", default=0.25, validate=_range(0, 60)),
        "ingest_queue_limit": env.int("INGEST_QUEUE_LIMIT", default=100_000, validate=_range(1)),
        "ingest_rate_limit": env.float("INGEST_RATE_LIMIT", default=100.0, validate=_range(1)),
        "ingest_keep_days": env.float("INGEST_KEEP_DAYS", default=7.0, validate=_range(0)),
        "ingest_keep_mb": env.int("INGEST_KEEP_MB", default=1024, validate=_range(0)),
        "ingest_pending_days": env.float("INGEST_PENDING_DAYS", default=7.0, validate=_range(0.1)),
        "metrics_key": env.str("METRICS_KEY", default="", validate=_optional(_metrics_key)),
        "alarm_email": env.list("ALARM_EMAIL", default=[]),
        "alarm_webhook_url": env.str("ALARM_WEBHOOK_URL", default="", validate=_optional(_web_url)),
        "alarm_silent_hours": env.int("ALARM_SILENT_HOURS", default=3, validate=_range(0, 24)),
        "audit_minutes": env.float("AUDIT_MINUTES", default=60.0, validate=_range(0)),
        "probe_url": env.str("PROBE_URL", default="", validate=_optional(_web_url)),
        "probe_seconds": env.float("PROBE_SECONDS", default=60.0, validate=_range(5)),
        "email_url": env.str("EMAIL_URL", default="smtp://127.0.0.1:25", validate=_mail_server),
        "email_from": env.str("EMAIL_FROM", default="whatsai@localhost"),
        "public_url": env.str("PUBLIC_URL", default=_default_public_url(env, base_dir), validate=_web_url),
        "webhooks_allow_private": env.bool("WEBHOOKS_ALLOW_PRIVATE", default=False),
        "time_zone": env.str("TIME_ZONE", default="UTC", validate=_time_zone),
        "language_code": env.str("LANGUAGE_CODE", default=default_language(), validate=_language),
    }
    try:
        env.seal()
    except EnvValidationError as error:
        raise ImproperlyConfigured(_join_messages(error.error_messages)) from None
    values["database"] = dj_database_url.parse(str(values["database"]))
    return Environment(**values)  # type: ignore[arg-type]  # env.seal() has checked the types of all values


def _range(minimum: float, maximum: float | None = None) -> validate.Range:
    text = _("must be at least {min}.") if maximum is None else _("must be from {min} to {max}.")
    return validate.Range(min=minimum, max=maximum, error=text)


def _join_messages(errors: Any) -> str:
    """Return one line; the library's own messages, such as "Not a valid integer.", are translated as texts of ours."""
    return "; ".join(f"{name}: {' '.join(_(str(text)) for text in texts)}" for name, texts in dict(errors).items())


def _default_secret_key(base_dir: Path, *, debug: bool) -> dict[str, str]:
    """Return the default of SECRET_KEY: the key that `make run` generated, or else a fixed key if `debug` is true."""
    try:
        return {"default": (base_dir / "var" / "secret_key").read_text(encoding="utf-8").strip()}
    except OSError:
        return {"default": "debug-only-" * 5} if debug else {}


def _secret_key(value: str) -> None:
    if len(value) < MIN_SECRET_KEY_CHARS:
        raise ValidationError(
            _("must be a random text of at least %(count)s characters (only DEBUG=true has a default).")
            % {"count": MIN_SECRET_KEY_CHARS}
        )


def _metrics_key(value: str) -> None:
    if len(value) < MIN_METRICS_KEY_CHARS or not value.isascii() or " " in value:
        raise ValidationError(
            _("must be a random text of at least %(count)s ASCII characters, without spaces.")
            % {"count": MIN_METRICS_KEY_CHARS}
        )


def _default_public_url(env: Env, base_dir: Path) -> str:
    """Return the default of PUBLIC_URL: this machine with PORT or, without PORT, where `make run` served last."""
    port = env.str("PORT", default="", validate=validate.Regexp(r"^[0-9]{0,5}$"))
    try:
        return f"http://127.0.0.1:{port}" if port else (base_dir / URL_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return "http://127.0.0.1:8000"


def _level(value: str) -> None:
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


def _web_url(value: str) -> None:
    _scheme(*WEB_SCHEMES)(value)
    url = urlsplit(value)
    if not url.hostname:
        raise ValidationError(_("must name a host: https://inbox.example.com."))
    _check_port(url)


def _optional(check: Callable[[str], None]) -> Callable[[str], None]:
    return lambda value: check(value) if value else None


def _each(check: Callable[[str], None]) -> Callable[[list[str]], None]:
    def check_all(values: list[str]) -> None:
        for value in values:
            check(value)

    return check_all


def _database(value: str) -> None:
    _scheme(*DATABASE_SCHEMES)(value)
    try:
        dj_database_url.parse(value)
    except ValueError:
        raise ValidationError(_("is not a database URL; user, password and name must be URL-quoted.")) from None


def _media_storage(value: str) -> None:
    try:
        media_storage.storage(value)
    except ValueError as error:
        raise ValidationError(f"{error}.") from None


def _mail_server(value: str) -> None:
    try:
        mail_server.options(value)
    except ValueError:
        raise ValidationError(_("must be smtp://user:password@host:587, smtp+tls://… or smtps://…")) from None


def _redis(value: str) -> None:
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


def read_language() -> str:
    """Return the language of the installation; what is set may be no language of ours.

    Raises:
        ImproperlyConfigured: the env file cannot be read.
    """
    return open_env().str("LANGUAGE_CODE", default="") or default_language()


def default_language() -> str:
    """Return the language that the process's environment sets, or else Portuguese or English, as its locale says.

    The env file is not read.
    """
    named = (os.environ.get(name, "") for name in LOCALE_VARIABLES)
    is_portuguese = next(filter(None, named), "").lower().startswith("pt")
    return os.environ.get("LANGUAGE_CODE") or ("pt-br" if is_portuguese else "en")


def _language(value: str) -> None:
    if value not in LANGUAGES:
        raise ValidationError(_("must be one of %(names)s.") % {"names": ", ".join(LANGUAGES)})


def _time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(_("must be a time zone of the IANA database, such as America/Sao_Paulo."))
