"""Administrators manage outgoing webhooks over the API; the secret is shown once."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.models import ApiToken, DeliveryAttempt, WebhookSubscription
from conversations.models import webhook_subscription as models
from tests.conversations.rows import a_contact, an_instance
from tests.conversations.webhooks_out.delivery import deliver, outcomes
from tests.conversations.webhooks_out.receiver import a_receiver, status

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/webhooks/"


@pytest.fixture
def client() -> APIClient:
    token = ApiToken.objects.issue(User.objects.create_superuser("root"))[1]
    return APIClient(headers={"Authorization": f"Bearer {token}"})


def create(client: APIClient, **body: Any) -> Any:
    answer = client.post(URL, {"url": "https://crm.example/hook", **body}, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def test_a_secret_is_shown_when_it_is_made_and_never_again(client: APIClient) -> None:
    made = create(client, name="CRM", events=["message.created"])
    one = f"{URL}{made['id']}/"

    assert made["secret"].startswith("whsec_")
    shown = client.get(one).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert client.get(URL).json()["results"] == [shown]
    rotated = client.post(f"{one}rotate-secret/")
    assert rotated.json()["secret"] not in (made["secret"], "")
    assert rotated["Cache-Control"].endswith("no-store")
    assert "secret" not in client.patch(one, {"name": "x"}, format="json").json()
    assert "secret" not in client.post(f"{one}test/").json()


def test_a_secret_of_ones_own_is_possible(client: APIClient) -> None:
    secret = models.new_secret()

    assert create(client, secret=secret)["secret"] == secret


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://user@crm.example/"}, "url"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": "x" * 50}, "secret"),
        ({"events": ["message.read"]}, "events"),
        ({"instance_ids": ["x"]}, "instance_ids"),
        ({"cursor": "x"}, "cursor"),
        ({"failures": 3}, "failures"),
    ],
)
def test_a_wrong_value_is_named(client: APIClient, body: dict[str, Any], name: str) -> None:
    answer = client.post(URL, {"url": "https://crm.example/", **body}, format="json")

    assert answer.status_code == 400
    assert name in str(answer.json())
    assert not WebhookSubscription.objects.exists()


def test_there_is_a_highest_number(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MAX_SUBSCRIPTIONS", 1)
    create(client)

    assert client.post(URL, {"url": "https://crm.example/"}, format="json").status_code == 409


def test_a_webhook_goes_on_where_it_was_turned_off_or_is_replayed(client: APIClient, settings: LazySettings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with a_receiver() as receiver:
        made = create(client, url=receiver.url)
        row, one, instance = WebhookSubscription.objects.get(), f"{URL}{made['id']}/", an_instance()
        WebhookSubscription.objects.update(off_reason="gone")
        assert client.patch(one, {"is_active": False}, format="json").json()["off_reason"] == ""
        assert client.post(f"{one}test/").status_code == 409
        first = a_contact(instance)
        deliver(row)
        assert receiver.received == []
        assert client.patch(one, {"is_active": True}, format="json").json()["is_active"] is True
        deliver(row)
        second = a_contact(instance)
        deliver(row)
        assert client.post(f"{one}replay/", {"after": made["cursor"]}, format="json").status_code == 200
        deliver(row)
        assert client.post(f"{one}replay/", {"after": "now"}, format="json").status_code == 200
        deliver(row)

    results = [one.content["data"]["results"] for one in receiver.received]
    pks = [[change["id"] for change in part if change["resource"] == "contact"] for part in results]
    assert pks == [[first.pk], [second.pk], [first.pk, second.pk]]


@pytest.mark.parametrize("cursor", ["x", "", "MS0xLTAwMDAwMDAwMDAwMDAwMDAtMDAwMDAwMDA"])
def test_only_a_cursor_of_this_database_can_be_replayed(client: APIClient, cursor: str) -> None:
    made = create(client)

    assert client.post(f"{URL}{made['id']}/replay/", {"after": cursor}, format="json").status_code == 400


def test_attempts_are_listed_latest_first(client: APIClient, settings: LazySettings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with a_receiver() as receiver:
        made = create(client, url=receiver.url)
        row = WebhookSubscription.objects.get()
        receiver.answers = [status(500)]
        a_contact(an_instance())
        deliver(row)
        client.post(f"{URL}{made['id']}/test/")
        deliver(row)

    assert outcomes(row) == [(500, "answered 500"), (204, "")]
    listed = client.get(f"{URL}{made['id']}/attempts/?limit=1").json()
    assert [(one["kind"], one["status"]) for one in listed["results"]] == [("test", 204)]
    older = client.get(listed["next"]).json()["results"]
    assert [(one["kind"], one["error"]) for one in older] == [("changes", "answered 500")]
    assert client.delete(f"{URL}{made['id']}/").status_code == 204
    assert not DeliveryAttempt.objects.exists()


def test_a_change_that_somebody_else_has_overtaken_is_refused(client: APIClient) -> None:
    one = f"{URL}{create(client)['id']}/"
    etag = client.get(one)["ETag"]
    client.patch(one, {"name": "a"}, format="json")

    late = client.patch(one, {"name": "b"}, format="json", headers={"If-Match": etag})

    assert late.status_code == 412
