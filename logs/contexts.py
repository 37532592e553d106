"""The contexts a record can belong to, each an ordinary logger: `Context.CACHE.logger.info(…)`.

What libraries log belongs to the context that `ROUTES` says, by their loggers' names.
"""

import enum
import logging


class Context(enum.StrEnum):
    """A part of the system that operators look at on its own; the value names its logger and its files."""

    CACHE = "cache"
    API = "api"
    WEBHOOK = "webhook"
    DATABASE = "database"
    EVOLUTION = "evolution"
    MEDIA = "media"
    GENERAL = "general"

    @property
    def logger(self) -> logging.Logger:
        """The standard library's logger of this context."""
        return logging.getLogger(f"whatsai.{self.value}")


ROUTES = {
    **{context.logger.name: context for context in Context},
    "django.request": Context.API,
    "django.security": Context.API,
    "django.server": Context.API,
    "gunicorn.access": Context.API,
    "rest_framework": Context.API,
    "drf_spectacular": Context.API,
    "knox": Context.API,
    "django.db": Context.DATABASE,
    "psycopg": Context.DATABASE,
    "django_redis": Context.CACHE,
    "redis": Context.CACHE,
}

_known: dict[str, Context] = {}


def context_of(logger: str, area: Context | None = None) -> Context:
    """Return the context of what a logger logs.

    Args:
        logger: its name; one further down belongs where its ancestor does.
        area: what the request in hand is about (`binding.py`), which is better known than that it is a request.
    """
    context = _known.get(logger)
    if context is None:
        context = _known[logger] = _routed(logger)
    return area if area is not None and context is Context.API else context


def _routed(logger: str) -> Context:
    while logger and logger not in ROUTES:
        logger = logger.rpartition(".")[0]
    return ROUTES.get(logger, Context.GENERAL)
