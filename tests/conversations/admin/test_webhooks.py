"""The admin makes outgoing webhooks, shows a secret once, sends tests, and delivers again from an attempt on."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from conversations.admin.webhooks import MAX_ATTEMPTS
from conversations.models import DeliveryAttempt, Instance, WebhookSubscription
from conversations.models import webhook_subscription as models
from tests.conversations.admin.pages import admin_url, list_url, page_url
from tests.conversations.rows import NOON, an_instance

pytestmark = pytest.mark.django_db
FORM = {"name": "CRM", "url": "https://crm.example/hook", "is_active": "on"}


def secret_in(answer: Any) -> str:
    found = re.search(r'<code class="secret">(whsec_[\w+/=]+)</code>', answer.content.decode())
    return found[1] if found else ""


def make(client: Client, **fields: Any) -> tuple[WebhookSubscription, Any]:
    answer = client.post(admin_url(WebhookSubscription, "add"), {**FORM, **fields})
    return WebhookSubscription.objects.get(), answer


def test_a_secret_is_shown_when_it_is_made_and_never_again(admin_client: Client) -> None:
    shop = an_instance()
    row, answer = make(admin_client, events=["message.created"], instances=[shop.pk])

    assert (row.user.username, row.events, row.instance_ids) == ("admin", ["message.created"], [shop.pk])
    assert row.cursor
    assert secret_in(answer) == row.secret
    old = row.secret
    answer = admin_client.post(page_url(row), {**FORM, "_rotate": "1"})
    row.refresh_from_db()
    assert secret_in(answer) == row.secret != old
    for url in (list_url(WebhookSubscription), page_url(row), admin_url(WebhookSubscription, "history", row.pk)):
        assert row.secret not in admin_client.get(url).content.decode()
    assert not any(row.secret in entry.change_message for entry in LogEntry.objects.all())


@pytest.mark.parametrize(
    "fields", [{"url": "http://127.0.0.1/"}, {"url": "x"}, {"events": ["message.read"]}, {"instances": [10**9]}]
)
def test_a_wrong_form_makes_nothing(admin_client: Client, fields: dict[str, Any]) -> None:
    admin_client.post(admin_url(WebhookSubscription, "add"), {**FORM, **fields})

    assert not WebhookSubscription.objects.exists()


def test_a_webhook_of_deleted_instances_does_not_send_the_changes_of_all_after_its_form(admin_client: Client) -> None:
    gone, other = an_instance(name="gone"), an_instance(name="other")
    row, _ = make(admin_client, instances=[gone.pk])
    pk = gone.pk
    Instance.objects.delete(pk)
    for chosen, kept in (([], [pk]), ([other.pk], [pk, other.pk])):
        assert admin_client.post(page_url(row), {**FORM, "name": "x", "instances": chosen}).status_code == 302
        row.refresh_from_db()
        assert (row.name, row.instance_ids) == ("x", kept)


def test_the_form_says_if_all_instances_of_a_webhook_were_deleted(admin_client: Client) -> None:
    gone, other = an_instance(name="gone"), an_instance(name="other")
    row, _ = make(admin_client, instances=[gone.pk, other.pk])
    for instance, is_said in ((gone, False), (other, True)):
        Instance.objects.delete(instance.pk)
        assert (
            "All instances of this webhook were deleted" in admin_client.get(page_url(row)).content.decode()
        ) == is_said


def test_there_is_a_highest_number(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make(admin_client)
    monkeypatch.setattr(models, "MAX_SUBSCRIPTIONS", 1)

    assert b"Delete one first" in admin_client.post(admin_url(WebhookSubscription, "add"), FORM).content


def test_a_webhook_that_was_turned_off_says_why_and_can_be_turned_on(admin_client: Client) -> None:
    row, _ = make(admin_client)
    WebhookSubscription.objects.update(is_active=False, off_reason="it is gone", failing_since=NOON, failures=9)
    assert "it is gone" in admin_client.get(list_url(WebhookSubscription)).content.decode()

    admin_client.post(page_url(row), FORM)

    row.refresh_from_db()
    assert (row.is_active, row.off_reason, row.failures) == (True, "", 0)


@pytest.mark.parametrize("is_active", [True, False])
def test_a_test_is_sent_unless_the_webhook_is_off(admin_client: Client, is_active: bool) -> None:  # noqa: FBT001 - a parameter
    row, _ = make(admin_client)

    admin_client.post(page_url(row), {**FORM, "is_active": "on" if is_active else "", "_test": "1"})

    row.refresh_from_db()
    assert row.test_requested is is_active


def test_attempts_are_shown_and_can_be_the_place_to_deliver_again_from(admin_client: Client) -> None:
    row, _ = make(admin_client)
    fields = {"subscription": row, "kind": "changes", "at": NOON, "duration_ms": 1, "changes": 1}
    attempts = [
        DeliveryAttempt.objects.create(message_id=f"msg_{cursor}", cursor=cursor, error="answered 500", **fields)
        for cursor in ("first", "second")
    ]
    url = list_url(DeliveryAttempt)
    assert "answered 500" in admin_client.get(f"{url}?subscription__id__exact={row.pk}").content.decode()

    admin_client.post(url, {"action": "replay", "_selected_action": [one.pk for one in attempts]})

    row.refresh_from_db()
    assert row.cursor == "first"


def test_the_page_shows_the_latest_attempts_and_links_to_all(admin_client: Client) -> None:
    row, _ = make(admin_client)
    assert "Nothing was sent yet." in admin_client.get(page_url(row)).content.decode()
    other = WebhookSubscription.objects.create(user=row.user, name="other", url="https://other.example/")
    fields = {"kind": "changes", "message_id": "m", "at": NOON, "duration_ms": 35, "changes": 1, "cursor": ""}
    for number in range(MAX_ATTEMPTS):
        DeliveryAttempt.objects.create(subscription=row, error=f"error-{number}.", status=None, **fields)
    DeliveryAttempt.objects.create(subscription=row, status=204, **fields)
    DeliveryAttempt.objects.create(subscription=other, error="error of others", **fields)

    content = admin_client.get(page_url(row)).content.decode()

    assert re.findall(r"error-(\d)", content) == [str(number) for number in range(1, MAX_ATTEMPTS)][::-1]
    assert '<span class="badge badge-good">204</span> <span class="quiet">Changes · 35 ms' in content
    assert "error of others" not in content
    assert f"{list_url(DeliveryAttempt)}?subscription__id__exact={row.pk}" in content
