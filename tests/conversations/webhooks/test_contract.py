"""The whole contract through the endpoint: every sample, and every body that a real server sent."""

import random
from typing import Any

import pytest
from django.test import Client

from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.payloads import SAMPLES, captured, sample

pytestmark = pytest.mark.django_db

TOKEN = "contract-token-contract-token"
BODIES = [(name, sample(name)) for name in SAMPLES] + [
    (f"captured {number}", line["body"]) for number, line in enumerate(captured())
]
UNDERSTOOD = {WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED}


@pytest.fixture
def instances() -> dict[str, Instance]:
    """Every instance that the payloads name, each with a token."""
    names = {body.get("instance", "errors") for _, body in BODIES}
    found = {name: Instance.objects.create(name=name) for name in sorted(names)}
    for row in found.values():
        Instance.objects.issue_token(row.pk, token=TOKEN)
    return found


def post(client: Client, body: dict[str, Any]) -> Any:
    path = f"/webhooks/evolution/{body.get('instance', 'errors')}"
    return client.post(path, body, content_type="application/json", headers={"X-Webhook-Token": TOKEN})


def rows(instances: dict[str, Instance]) -> dict[str, Rows]:
    return {name: rows_of(row) for name, row in instances.items()}


def test_every_body_is_taken_understood_and_harmless_when_it_comes_again(
    client: Client, instances: dict[str, Instance]
) -> None:
    for name, body in BODIES:
        assert post(client, body).status_code == 202, name
    Worker().drain()
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == UNDERSTOOD
    once = rows(instances)
    shuffled = [body for _, body in BODIES]
    random.Random(7).shuffle(shuffled)
    for body in shuffled:
        assert post(client, body).status_code == 202
    Worker().drain()
    assert rows(instances) == once
    # The same again, with the memory of what was applied gone: it is the joins that hold, not that memory.
    WebhookEvent.objects.all().delete()
    for body in shuffled:
        assert post(client, body).status_code == 202
    Worker().drain()
    assert rows(instances) == once


def test_another_order_ends_in_the_same_rows(client: Client, instances: dict[str, Instance]) -> None:
    for _, body in BODIES:
        post(client, body)
    Worker().drain()
    once = rows(instances)
    Instance.objects.all().delete()
    again = {name: Instance.objects.create(name=name) for name in instances}
    for row in again.values():
        Instance.objects.issue_token(row.pk, token=TOKEN)
    for _, body in reversed(BODIES):
        post(client, body)
    Worker().drain()
    assert rows(again) == once


def test_no_credential_of_a_body_is_stored(client: Client, instances: dict[str, Instance]) -> None:
    secrets = {body[name] for _, body in BODIES for name in ("apikey", "api_key") if body.get(name)}
    assert len(secrets) > 3
    body = sample("messages.upsert.json")
    body["destination"] = f"https://whatsai.example.com/webhooks/evolution/vendas-sp-01?token={TOKEN}"
    for _, other in [*BODIES, ("with a token", body)]:
        post(client, other)
    stored = "\n".join(str(event.payload) for event in WebhookEvent.objects.all())
    assert not [secret for secret in {*secrets, TOKEN} if secret in stored]
    assert instances
