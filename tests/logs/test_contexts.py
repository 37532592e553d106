"""Every logger has a log context; a table assigns contexts to the loggers of libraries."""

import logging

import pytest

from logs.contexts import Context, context_of


@pytest.mark.parametrize("context", Context)
def test_the_logger_of_a_context_is_an_ordinary_logger(context: Context) -> None:
    assert context.logger is logging.getLogger(f"whatsai.{context.value}")
    assert context_of(context.logger.name) is context
    assert context_of(f"{context.logger.name}.further.down") is context


@pytest.mark.parametrize(
    ("logger", "context"),
    [
        ("django.request", Context.API),
        ("django.security.DisallowedHost", Context.API),
        ("django.server", Context.API),
        ("django.db.backends", Context.DATABASE),
        ("django.db.backends.schema", Context.DATABASE),
        ("django", Context.GENERAL),
        ("django.template", Context.GENERAL),
        ("rest_framework.request", Context.API),
        ("gunicorn.error", Context.GENERAL),
        ("gunicorn.access", Context.API),
        ("psycopg.pool", Context.DATABASE),
        ("django_redis.cache", Context.CACHE),
        ("redis", Context.CACHE),
        ("py.warnings", Context.GENERAL),
        ("whatsai", Context.GENERAL),
        ("whatsai.cachesomething", Context.GENERAL),
        ("root", Context.GENERAL),
        ("", Context.GENERAL),
    ],
)
def test_the_loggers_of_libraries_have_contexts(logger: str, context: Context) -> None:
    assert context_of(logger) is context


@pytest.mark.parametrize(
    ("logger", "context"),
    [("django.request", Context.WEBHOOK), ("whatsai.api", Context.WEBHOOK), ("whatsai.cache", Context.CACHE)],
)
def test_the_request_context_replaces_api_only(logger: str, context: Context) -> None:
    assert context_of(logger, Context.WEBHOOK) is context
