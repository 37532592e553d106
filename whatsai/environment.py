"""Reads the environment variables of the project, with their types and defaults.

One `ImproperlyConfigured` error reports all wrong variables. The error text names each wrong variable and quotes no
value, because values may be secret. `settings.py` reads environment variables only through this module.
"""

import os
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, validate

from logs import config
from logs.contexts import Context
from whatsai import environment_checks as checks
from whatsai import tracing

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"  # the default folder of everything that the site writes

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
    database = env.str("DATABASE_URL", default=f"sqlite:///{base_dir}/var/db.sqlite3", validate=checks.database)
    values = {
        "debug": debug,
        "https": env.bool("HTTPS", default=not debug),
        "secret_key": env.str("SECRET_KEY", validate=checks.secret_key, **_default_secret_key(base_dir, debug=debug)),
        "secret_key_fallbacks": env.list("SECRET_KEY_FALLBACKS", default=[], validate=checks.each(checks.secret_key)),
        "allowed_hosts": env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"]),
        "csrf_trusted_origins": env.list("CSRF_TRUSTED_ORIGINS", default=[], validate=checks.each(checks.web_url)),
        "cors_allowed_origins": env.list("CORS_ALLOWED_ORIGINS", default=[], validate=checks.each(checks.web_url)),
        "api_rate_limit": env.int("API_RATE_LIMIT", default=6000, validate=checks.in_range(0)),
        "api_address_rate_limit": env.int("API_ADDRESS_RATE_LIMIT", default=3000, validate=checks.in_range(0)),
        "database": database,
        "redis_url": env.str("REDIS_URL", default="", validate=checks.optional(checks.redis)),
        "cache_prefix": env.str("CACHE_PREFIX", default="whatsai", validate=validate.Regexp(r"^[\w.-]+$")),
        "cache_local_mb": env.float("CACHE_LOCAL_MB", default=64.0, validate=checks.in_range(1)),
        "log_dir": env.path("LOG_DIR", default=base_dir / "var" / "log"),
        "log_level": env.str("LOG_LEVEL", default="INFO", validate=checks.level),
        "log_keep": env.int("LOG_KEEP", default=5, validate=checks.in_range(1, 1000)),
        "log_console": env.bool("LOG_CONSOLE", default=True),
        "log_slow_sql_ms": env.float("LOG_SLOW_SQL_MS", default=200.0, validate=checks.in_range(0)),
        "media_dir": env.path("MEDIA_DIR", default=base_dir / "var" / "media"),
        "media_storage_url": env.str("MEDIA_STORAGE_URL", default="", validate=checks.media_storage_url),
        "media_keep_days": env.float("MEDIA_KEEP_DAYS", default=0.0, validate=checks.in_range(0)),
        "changes_keep_days": env.float("CHANGES_KEEP_DAYS", default=7.0, validate=checks.in_range(0.1)),
        "readings_keep_days": env.float("READINGS_KEEP_DAYS", default=365.0, validate=checks.in_range(1)),
        # With SQLite, the web process is the only process, so the ingestion must run inside the web process.
        "ingest_in_web_process": env.bool("INGEST_IN_WEB_PROCESS", default=str(database).startswith("sqlite")),
        "ingest_window": env.float("INGEST_WINDOW", default=1.0, validate=checks.in_range(0, 60)),
        "ingest_interval": env.float("INGEST_INTERVAL", default=0.25, validate=checks.in_range(0, 60)),
        "ingest_queue_limit": env.int("INGEST_QUEUE_LIMIT", default=100_000, validate=checks.in_range(1)),
        "ingest_rate_limit": env.float("INGEST_RATE_LIMIT", default=100.0, validate=checks.in_range(1)),
        "ingest_keep_days": env.float("INGEST_KEEP_DAYS", default=7.0, validate=checks.in_range(0)),
        "ingest_keep_mb": env.int("INGEST_KEEP_MB", default=1024, validate=checks.in_range(0)),
        "ingest_pending_days": env.float("INGEST_PENDING_DAYS", default=7.0, validate=checks.in_range(0.1)),
        "metrics_key": env.str("METRICS_KEY", default="", validate=checks.optional(checks.metrics_key)),
        "alarm_email": env.list("ALARM_EMAIL", default=[]),
        "alarm_webhook_url": env.str("ALARM_WEBHOOK_URL", default="", validate=checks.optional(checks.web_url)),
        "alarm_silent_hours": env.int("ALARM_SILENT_HOURS", default=3, validate=checks.in_range(0, 24)),
        "audit_minutes": env.float("AUDIT_MINUTES", default=60.0, validate=checks.in_range(0)),
        "probe_url": env.str("PROBE_URL", default="", validate=checks.optional(checks.web_url)),
        "probe_seconds": env.float("PROBE_SECONDS", default=60.0, validate=checks.in_range(5)),
        "email_url": env.str("EMAIL_URL", default="smtp://127.0.0.1:25", validate=checks.mail_server_url),
        "email_from": env.str("EMAIL_FROM", default="whatsai@localhost"),
        "public_url": env.str("PUBLIC_URL", default=_default_public_url(env, base_dir), validate=checks.web_url),
        "webhooks_allow_private": env.bool("WEBHOOKS_ALLOW_PRIVATE", default=False),
        "time_zone": env.str("TIME_ZONE", default="UTC", validate=checks.time_zone),
        "language_code": env.str("LANGUAGE_CODE", default=default_language(), validate=checks.language),
    }
    try:
        env.seal()
    except EnvValidationError as error:
        raise ImproperlyConfigured(_join_messages(error.error_messages)) from None
    values["database"] = dj_database_url.parse(str(values["database"]))
    return Environment(**values)  # type: ignore[arg-type]  # env.seal() has checked the types of all values


def _join_messages(errors: Any) -> str:
    """Return one line; the library's own messages, such as "Not a valid integer.", are translated as texts of ours."""
    return "; ".join(f"{name}: {' '.join(_(str(text)) for text in texts)}" for name, texts in dict(errors).items())


def _default_secret_key(base_dir: Path, *, debug: bool) -> dict[str, str]:
    """Return the default of SECRET_KEY: the key that `make run` generated, or else a fixed key if `debug` is true."""
    try:
        return {"default": (base_dir / "var" / "secret_key").read_text(encoding="utf-8").strip()}
    except OSError:
        return {"default": "debug-only-" * 5} if debug else {}


def _default_public_url(env: Env, base_dir: Path) -> str:
    """Return the default of PUBLIC_URL: this machine with PORT or, without PORT, where `make run` served last."""
    port = env.str("PORT", default="", validate=validate.Regexp(r"^[0-9]{0,5}$"))
    try:
        return f"http://127.0.0.1:{port}" if port else (base_dir / URL_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return "http://127.0.0.1:8000"


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
