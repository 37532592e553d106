"""Spans tell what a process did and for how long, and nothing that people wrote; without a receiver there are none."""

import json
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from logs import spans
from logs.sql_logging import LITERAL
from tests.cachelayer.gunicorn import environment
from tests.conversations.ingest.bodies import PHONE, text
from tests.waiting import TIMEOUT
from whatsai import tracing


@pytest.mark.parametrize(
    ("variables", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "inbox"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_variables_of_opentelemetry_turn_it_on(variables: dict[str, str], is_wanted: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    assert tracing.is_wanted(variables) is is_wanted


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.RECEIVERS[0], "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ImproperlyConfigured, match="requirements-otel"):
        tracing.configure()


def test_without_a_receiver_nothing_is_recorded() -> None:
    tracing.configure()
    assert spans.recorder is None
    with spans.root("request") as span:
        span.describe("request", {})


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT * FROM a WHERE b = %s AND c IN (1, 2.5)", "SELECT * FROM a WHERE b = %s AND c IN (?, ?)"),
        ("SELECT 'it''s mine', \"t1\".\"a\"", 'SELECT ?, "t1"."a"'),
        ("SELECT 'cut off", "SELECT ?"),
        ("SELECT $$words$$, $q$more 'words'$q$", "SELECT ?, ?"),
    ],
)
def test_statements_are_shown_without_literals(sql: str, shown: str) -> None:
    assert LITERAL.sub("?", sql) == shown


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_webhook_its_batch_and_a_request_are_traced_without_their_content() -> None:
    body = json.dumps(text("KEY1", PHONE, "secret words", pushName="Secret Name") | {"instance": "sales"})
    done = subprocess.run(
        [sys.executable, "-m", "tests.whatsai.traced"],
        cwd=settings.BASE_DIR,
        env=environment(BODY=body, LOG_CONSOLE="false"),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    *lines, tokens = done.stdout.splitlines()
    found = [json.loads(line) for line in lines]
    roots = {span["id"]: span["name"] for span in found if span["parent"] is None}
    assert {"webhook", "batch", "search-messages"} <= set(roots.values())
    parts = {(roots[span["parent"]], span["name"].split()[0]) for span in found if span["parent"]}
    assert {("webhook", "SQL"), ("batch", "SQL"), ("batch", "store")} <= parts
    content = "\n".join(lines).lower()
    for secret in (*json.loads(tokens), "secret words", "secret", "key1", "5521987654321", "87654321"):
        assert secret.lower() not in content
