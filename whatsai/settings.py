"""Django's settings, built from the environment variables that `environment.py` lists."""

import os
import sys
from typing import Any

from cachelayer import REDIS_OPTIONS
from whatsai import environment, mail_server, media_storage
from whatsai.worker_count import worker_count

env = environment.read()

BASE_DIR = environment.BASE_DIR

# --- the site ---------------------------------------------------------------------------------------------------------
DEBUG = env.debug
SECRET_KEY = env.secret_key
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks
ALLOWED_HOSTS = env.allowed_hosts
CSRF_TRUSTED_ORIGINS = env.csrf_trusted_origins
PUBLIC_URL = env.public_url.rstrip("/")
WEBHOOKS_ALLOW_PRIVATE = env.webhooks_allow_private
ROOT_URLCONF = "whatsai.urls"
CSRF_FAILURE_VIEW = "whatsai.errors.csrf_failure"
WSGI_APPLICATION = "whatsai.wsgi.application"

INSTALLED_APPS = [
    "whatsai.admin_site.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "logs",
    "cachelayer",
    "conversations",
]

MIDDLEWARE = [
    "whatsai.frame_room.middleware",
    "logs.middleware.middleware",
    "whatsai.language.middleware",
    "conversations.monitoring.requests.middleware",
    "whatsai.response_headers.middleware",
    "whatsai.errors.middleware",
    "whatsai.cors.Middleware",
    "whatsai.health.middleware",
    "whatsai.statement_timeout.middleware",
    "whatsai.metrics_page.middleware",
    "conversations.webhooks.middleware.middleware",
    "django.middleware.security.SecurityMiddleware",
    "conversations.api.rate_limits.middleware",
    "conversations.api.compression.middleware",
    "conversations.api.answers.middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "whatsai" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- transport security -----------------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = env.https
# Webhook requests are not redirected to HTTPS, because Evolution follows a redirect with a GET and then counts the
# event as delivered.
SECURE_REDIRECT_EXEMPT = [r"^/*webhooks/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.https else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if env.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.https
SECURE_HSTS_PRELOAD = env.https
SESSION_ENGINE = "whatsai.sessions"
SESSION_COOKIE_SECURE = env.https
CSRF_COOKIE_SECURE = env.https

# --- stores -----------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.database}
env.database.update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if env.database["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE acquires SQLite's write lock at BEGIN, because a transaction that reads first may fail to acquire the
    # lock at its first write.
    env.database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

CACHES = {
    "default": (
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": env.redis_url,
            "OPTIONS": REDIS_OPTIONS,
        }
        if env.redis_url
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

# PostgreSQL ends a statement of a web request after this many seconds.
WEB_STATEMENT_SECONDS = 30.0

# Projects that share a Redis server need different prefixes, because cache keys contain no name of the database.
CACHELAYER: dict[str, Any] = {"PREFIX": env.cache_prefix, "LOCAL_MB": env.cache_local_mb}

# conversations/ingest/conf.py describes the options of the ingestion.
INGEST = env.ingest

MEDIA_ROOT = env.media_dir
STORAGES = {
    "default": media_storage.storage(env.media_storage_url),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "static/"
# WhiteNoise serves static files from the installed packages, so that STATIC_ROOT and collectstatic are not needed.
WHITENOISE_USE_FINDERS = True

# --- users and languages ----------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = env.language_code
LANGUAGES = [("en", "English"), ("pt-br", "Português (Brasil)")]
LOCALE_PATHS = [BASE_DIR / "whatsai" / "locale"]
TIME_ZONE = env.time_zone
USE_TZ = True
FORMAT_MODULE_PATH = "whatsai.formats"

# --- the API ----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "conversations.api.authentication.TokenAuthentication",
        "conversations.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["conversations.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["conversations.api.json_parser.JSONParser"],
    "EXCEPTION_HANDLER": "conversations.api.problems.handle",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
# Each web process grants its share of the limits below.
WEB_PROCESSES = worker_count(sys.argv, os.environ)
# The requests a minute of one token, and of one address without a token; 0 stands for no limit.
API_RATE_LIMITS = {"token": env.api_rate_limit, "address": env.api_address_rate_limit}
# Browsers let pages of these origins use the API, with tokens only: no cookie is accepted from another origin.
CORS_ALLOWED_ORIGINS = env.cors_allowed_origins
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "cache-control", "content-type", "range", "x-request-id"),
    *("idempotency-key", "if-match", "if-none-match"),
]
CORS_EXPOSE_HEADERS = [
    *("Cache-Status", "Content-Disposition", "Content-Range", "Deprecation", "ETag", "Last-Modified", "Link"),
    *("Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After", "Sunset", "X-Request-ID"),
]
SPECTACULAR_SETTINGS = {
    "TITLE": "WhatsAI",
    "DESCRIPTION": "Instances, contacts, conversations and messages of many WhatsApp numbers.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "DEFAULT_GENERATOR_CLASS": "conversations.api.schema_generator.EnglishGenerator",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "conversations.api.schema_operations.name_operations",
        "conversations.api.schema_texts.limit_texts",
        "conversations.api.error_schema.add_errors",
        "conversations.api.schema_examples.add_examples",
        "conversations.api.schema_webhook.add_webhook",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "ConversationKind": "conversations.models.Conversation.Kind",
        "MessageKind": "conversations.models.Message.Kind",
        "MessageStatus": "conversations.api.serializers.message.STATUSES.values",
        "InstanceState": "conversations.models.Instance.State",
        "ParticipantRole": "conversations.models.Participant.Role",
        "MembershipRole": "conversations.models.Role",
        "TokenScope": "conversations.models.Scope",
    },
}

# --- metrics ----------------------------------------------------------------------------------------------------------
# The key with which Prometheus reads /metrics; empty for no such page.
METRICS_KEY = env.metrics_key

# --- alarms -----------------------------------------------------------------------------------------------------------
ALARM_EMAIL = env.alarm_email
ALARM_WEBHOOK_URL = env.alarm_webhook_url
ALARM_CHANNELS = [name for name, is_on in (("email", env.alarm_email), ("webhook", env.alarm_webhook_url)) if is_on]
ALARM_SILENT_HOURS = env.alarm_silent_hours
# Seconds between two runs of each regular check; 0 for none.
MONITORING_CHECKS = {"audit": 60 * env.audit_minutes, "media": 60, "probe": env.probe_seconds if env.probe_url else 0}
PROBE_URL = env.probe_url
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL = mail_server.options(
    env.email_url
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.email_from

# --- logs -------------------------------------------------------------------------------------------------------------
LOG_DIR = env.log_dir
LOGGING_CONFIG = "whatsai.environment.configure_logging"
LOGGING = env.logging
LOGS_CONTEXT_BY_PATH = {"/health": "general", "/readyz": "general", "/metrics": "general", "/webhooks/": "webhook"}
LOGS_SLOW_SQL_MS = env.log_slow_sql_ms
