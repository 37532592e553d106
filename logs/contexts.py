"""The log contexts, each with an ordinary Python logger: `Context.CACHE.logger.info(…)`.

`ROUTES` assigns the loggers of libraries to log contexts by the loggers' names.
"""

import enum
import logging


class Context(enum.StrEnum):
    """A part of the system with its own log files; the value of a member names the logger and the files."""

    CACHE = "cache"
    API = "api"
    WEBHOOK = "webhook"
    DATABASE = "database"
    EVOLUTION = "evolution"
    MEDIA = "media"
    GENERAL = "general"

    @property
    def logger(self) -> logging.Logger:
        """The standard library's logger of this log context."""
        return logging.getLogger(f"whatsai.{self.value}")


ROUTES = {
    **{context.logger.name: context for context in Context},
    "django.request": Context.API,
    "django.security": Context.API,
    "django.server": Context.API,
    "gunicorn.access": Context.API,
    "rest_framework": Context.API,
    "drf_spectacular": Context.API,
    "django.db": Context.DATABASE,
    "psycopg": Context.DATABASE,
    "django_redis": Context.CACHE,
    "redis": Context.CACHE,
}

_context_by_logger: dict[str, Context] = {}


def context_of(logger: str, request_context: Context | None = None) -> Context:
    """Return the log context of a logger's records.

    Args:
        logger: the logger's name; a logger without a route has the log context of its nearest ancestor.
        request_context: the log context of the current request (`binding.REQUEST_CONTEXT`), which replaces API.
    """
    context = _context_by_logger.get(logger)
    if context is None:
        context = _context_by_logger[logger] = _find_route(logger)
    return request_context if request_context is not None and context is Context.API else context


def _find_route(logger: str) -> Context:
    while logger and logger not in ROUTES:
        logger = logger.rpartition(".")[0]
    return ROUTES.get(logger, Context.GENERAL)
