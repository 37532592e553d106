"""An instance with a webhook token, and a way to post as Evolution does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conversations.models import Instance

TOKEN = "a-token-that-nobody-may-see"
SERVER = "https://evo.example.com"
PATH = "/webhooks/evolution/sales"

Post = Callable[..., Any]


def event(text: str = "Olá", *, key_id: str = "3EB0A1", instance: str = "sales") -> dict[str, Any]:
    key = {"remoteJid": "5511999990001@s.whatsapp.net", "fromMe": False, "id": key_id}
    record = {"key": key, "pushName": "Ana", "message": {"conversation": text}, "messageType": "conversation"}
    return {"event": "messages.upsert", "instance": instance, "data": {**record, "messageTimestamp": 1764000000}}


@pytest.fixture
def sales(db: None) -> Instance:  # noqa: ARG001 - asks for the database
    instance, _ = Instance.objects.upsert("sales", SERVER)
    Instance.objects.issue_token(instance.pk, token=TOKEN)
    return instance


@pytest.fixture
def post(client: Client) -> Post:
    """Post a body (bytes as they are, anything else as JSON), by default as the instance that `sales` makes."""

    def send(path: str = PATH, body: Any = None, *, token: str = TOKEN, **extra: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(event() if body is None else body).encode()
        headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
        extra = {"content_type": "application/json", "CONTENT_LENGTH": str(len(raw)), **headers, **extra}
        # With a host before it, a path that starts with two slashes is still a path.
        return client.generic("POST", f"http://testserver{path}", raw, **extra)

    return send
