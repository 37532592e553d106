"""A program that takes a webhook, applies it and answers the API while spans are recorded, and prints the spans."""

import json
import os
import sys

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from whatsai import tracing

exporter = InMemorySpanExporter()
tracing.start(SimpleSpanProcessor(exporter))

import django  # noqa: E402 - the store of the cache is opened after the recorder was set

django.setup()

from django.contrib.auth.models import User  # noqa: E402 - as above
from django.test import Client  # noqa: E402 - as above

from conversations.ingest.conf import Options  # noqa: E402 - as above
from conversations.ingest.worker.worker import Worker  # noqa: E402 - as above
from conversations.models import ApiToken, Instance  # noqa: E402 - as above


def main() -> None:
    """Print the spans as JSON, one a line; the last line has the tokens."""
    instance, _ = Instance.objects.upsert("sales")
    webhook = Instance.objects.issue_token(instance.pk)
    api = ApiToken.objects.issue(User.objects.create_superuser("root"))[1]
    client = Client(headers={"Authorization": f"Token {api}", "Host": "127.0.0.1"})
    path = f"/webhooks/evolution/sales?token={webhook}"
    assert client.post(path, os.environ["BODY"], content_type="application/json").status_code == 202
    Worker(Options(window=0, interval=0)).drain()
    assert "secret words" in client.get("/api/v1/search/messages/?q=secret+words").text
    assert client.get("/api/v1/conversations/?search=5521987654321").status_code in (200, 400)
    lines = [*map(as_json, exporter.get_finished_spans()), [webhook, api]]
    sys.stdout.write("".join(f"{json.dumps(line)}\n" for line in lines))


def as_json(span: ReadableSpan) -> dict[str, object]:
    """Return all that a span tells."""
    parent = span.parent and span.parent.span_id
    content = {"events": [str(event) for event in span.events], "status": span.status.description}
    return {"id": span.context.span_id, "parent": parent, "name": span.name, **dict(span.attributes or {}), **content}


main()
