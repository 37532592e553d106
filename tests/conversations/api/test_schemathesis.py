"""Requests that Schemathesis derives from the OpenAPI schema are answered as the schema says.

Valid requests are accepted and invalid ones are refused, with documented statuses, headers and bodies.
The tests run on PostgreSQL, which refuses more values than SQLite; with EXPLORE=all on both. That every route refuses
requests without a valid token is the subject of `test_access.py`; here each answer would be asked for twice more.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth

from conversations.api.schema_examples import EXAMPLES
from tests.conversations.rows import a_chat, a_group, a_message, an_instance
from tests.effort import EXPLORES_ALL

pytestmark = pytest.mark.django_db
IDEMPOTENCY_KEY = "Idempotency-Key"

MAX_EXAMPLES = 5  # random requests of each operation, besides those that cover each keyword of the schema

if connection.vendor == "sqlite" and not EXPLORES_ALL:  # here, because deriving the requests takes seconds
    pytest.skip("runs on PostgreSQL; on SQLite with EXPLORE=all", allow_module_level=True)

generator: Any = SchemaGenerator
config = SchemathesisConfig.from_path(Path(__file__).with_name("schemathesis.toml"))
document = json.loads(json.dumps(generator().get_schema(public=True), default=str))
schema = schemathesis.openapi.from_dict(document, config=config)
schema.app = get_wsgi_application()


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:  # noqa: ARG001 - the fixture "db" enables database access
    instance = an_instance()
    for chat in (a_chat(instance), a_group(instance)):
        a_message(chat)


@pytest.fixture(autouse=True)
def _keep_connection() -> Iterator[None]:
    """Keep the database connection, and so the test's transaction, at the end of a request, as Django's client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(max_examples=MAX_EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
def test_requests_are_answered_as_documented(case: Any, token: str) -> None:
    if case.headers.get(IDEMPOTENCY_KEY) == EXAMPLES[IDEMPOTENCY_KEY]:  # of several requests, which are no repetitions
        case.headers[IDEMPOTENCY_KEY] = uuid4().hex
    headers = {"Authorization": f"Token {token}", "Accept-Encoding": "identity"}
    case.call_and_validate(headers=headers, excluded_checks=[] if EXPLORES_ALL else [ignored_auth])
