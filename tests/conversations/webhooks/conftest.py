"""Fixtures of the webhook tests: an instance with a webhook token, and a function that posts as Evolution does."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from conversations.ingest import metrics
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance
from conversations.webhooks import instances, rate_limit

TOKEN = "a-token-that-nobody-may-see"
SERVER = "https://evo.example.com"
PATH = "/webhooks/evolution/sales"

Post = Callable[..., Any]


def event(text: str = "Olá", *, key_id: str = "3EB0A1", instance: str = "sales") -> dict[str, Any]:
    """Return the webhook body of an inbound text message."""
    key = {"remoteJid": "5511999990001@s.whatsapp.net", "fromMe": False, "id": key_id}
    record = {"key": key, "pushName": "Ana", "message": {"conversation": text}, "messageType": "conversation"}
    return {"event": "messages.upsert", "instance": instance, "data": {**record, "messageTimestamp": 1764000000}}


@pytest.fixture
def sales(db: None) -> Instance:  # noqa: ARG001 - the fixture "db" enables database access
    instance, _ = Instance.objects.upsert("sales", SERVER)
    Instance.objects.issue_token(instance.pk, token=TOKEN)
    return instance


@pytest.fixture
def post(client: Client) -> Post:
    """Return a function that posts a webhook, by default for the instance `sales`, and encodes its body as JSON."""

    def send(path: str = PATH, body: Any = None, *, token: str = TOKEN, **extra: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(event() if body is None else body).encode()
        headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
        extra = {"content_type": "application/json", "CONTENT_LENGTH": str(len(raw)), **headers, **extra}
        # A full URL keeps Django's test client from parsing the first segment after two slashes as a host.
        return client.generic("POST", f"http://testserver{path}", raw, **extra)

    return send


@pytest.fixture
def reset_counts() -> Iterator[None]:
    """Reset the values that a process keeps between requests: token buckets, queue depth and counters."""
    rate_limit.buckets.reset()
    instances.new_instances.reset()
    queue_depth.reset()
    metrics.reset_after_fork()
    yield
    queue_depth.reset()
    metrics.reset_after_fork()
