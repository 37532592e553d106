"""The endpoint and the worker process every sample payload and every recorded payload of a real server."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import Client

from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.payloads import SAMPLES, captured, sample

pytestmark = pytest.mark.django_db

TOKEN = "payload-token-payload-token"
BODIES = [(name, sample(name)) for name in SAMPLES] + [
    (f"captured {number}", line["body"]) for number, line in enumerate(captured())
]
EXPECTED_OUTCOMES = {WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED}


@pytest.fixture
def instances() -> dict[str, Instance]:
    """Create all instances that the payloads name, with the same webhook token."""
    names = {body.get("instance", "errors") for _, body in BODIES}
    return create_instances(sorted(names))


def create_instances(names: Iterable[str]) -> dict[str, Instance]:
    created = {name: Instance.objects.create(name=name) for name in names}
    for instance in created.values():
        Instance.objects.issue_token(instance.pk, token=TOKEN)
    return created


def post(client: Client, body: dict[str, Any]) -> Any:
    path = f"/webhooks/evolution/{body.get('instance', 'errors')}"
    return client.post(path, body, content_type="application/json", headers={"X-Webhook-Token": TOKEN})


def all_rows(instances: dict[str, Instance]) -> dict[str, Rows]:
    return {name: rows_of(instance) for name, instance in instances.items()}


def test_every_body_is_understood_and_changes_nothing_when_it_is_sent_again(
    client: Client, instances: dict[str, Instance]
) -> None:
    for name, body in BODIES:
        assert post(client, body).status_code == 202, name
    Worker().drain()
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == EXPECTED_OUTCOMES
    expected = all_rows(instances)
    shuffled = [body for _, body in BODIES]
    random.Random(7).shuffle(shuffled)
    for body in shuffled:
        assert post(client, body).status_code == 202
    Worker().drain()
    assert all_rows(instances) == expected
    # Delete the stored events, so that duplicates are applied again and not rejected because of an equal digest.
    WebhookEvent.objects.all().delete()
    for body in shuffled:
        assert post(client, body).status_code == 202
    Worker().drain()
    assert all_rows(instances) == expected


@pytest.mark.sweep
def test_the_reverse_order_gives_the_same_rows(client: Client, instances: dict[str, Instance]) -> None:
    for _, body in BODIES:
        post(client, body)
    Worker().drain()
    expected = all_rows(instances)
    Instance.objects.all().delete()
    recreated = create_instances(instances)
    for _, body in reversed(BODIES):
        post(client, body)
    Worker().drain()
    assert all_rows(recreated) == expected


@pytest.mark.usefixtures("instances")
def test_credentials_are_not_stored(client: Client) -> None:
    secrets = {body[name] for _, body in BODIES for name in ("apikey", "api_key") if body.get(name)}
    assert len(secrets) > 3
    body = sample("messages.upsert.json")
    body["destination"] = f"https://whatsai.example.com/webhooks/evolution/vendas-sp-01?token={TOKEN}"
    for each in (*(other for _, other in BODIES), body):
        post(client, each)
    stored = "\n".join(str(event.payload) for event in WebhookEvent.objects.all())
    assert not [secret for secret in {*secrets, TOKEN} if secret in stored]
