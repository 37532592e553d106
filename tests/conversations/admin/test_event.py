import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.admin.event import MAX_BODY_LENGTH
from conversations.models import Instance, Membership, Role, WebhookEvent
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.admin.pages import delete_url, list_url, page_url


@pytest.fixture
def event(populate: Populate) -> WebhookEvent:
    populate(1)
    return WebhookEvent.objects.get()


def delete_data(event: WebhookEvent) -> dict[str, Any]:
    return {"action": "delete_selected", "post": "yes", "_selected_action": [str(event.pk)]}


def test_the_body_is_readable_escaped_and_truncated(admin_client: Client, event: WebhookEvent) -> None:
    payload = {"text": "Olá <script>alert(1)</script>", "base64": "A" * 50_000}
    WebhookEvent.objects.filter(pk=event.pk).update(payload=payload)
    content = admin_client.get(page_url(event)).content.decode()
    assert "&quot;text&quot;: &quot;Olá &lt;script&gt;" in content
    assert "(50,000 characters)" in content
    assert len(content) < 40_000


@pytest.mark.parametrize("is_long", [False, True])
def test_the_page_reads_the_body_once_unless_it_is_very_long(
    admin_client: Client, event: WebhookEvent, *, is_long: bool
) -> None:
    WebhookEvent.objects.filter(pk=event.pk).update(size=MAX_BODY_LENGTH + is_long)
    with CaptureQueriesContext(connection) as queries:
        content = admin_client.get(page_url(event)).content.decode()
    assert len([query for query in queries if '"payload"' in query["sql"]]) == (0 if is_long else 1)
    assert ("is too long to be shown" in content) == is_long


@pytest.mark.parametrize(("role", "is_shown"), [(Role.READER, False), (Role.AGENT, False), (Role.MANAGER, True)])
def test_the_codes_that_link_a_phone_are_shown_to_managers_only(
    staff_client: StaffClient, event: WebhookEvent, role: Role, *, is_shown: bool
) -> None:
    codes = {"code": "2@XK4krX48", "pairingCode": "WZYEH1YY", "base64": "data:image/png;base64,iVBORw0"}
    rows = WebhookEvent.objects.filter(pk=event.pk)
    rows.update(name="qrcode.updated", payload={"data": {"qrcode": codes}})
    client = staff_client("view_webhookevent")
    Membership.objects.update(role=role)
    shown = client.get(page_url(event)).content.decode()
    assert "qrcode.updated" in shown
    assert [code in shown for code in codes.values()] == [is_shown] * 3
    assert ("only to those who may manage" in shown) != is_shown
    rows.update(name="messages.upsert")
    assert "&quot;qrcode&quot;" in client.get(page_url(event)).content.decode()


def test_the_list_shows_the_outcome_and_the_reason(admin_client: Client, event: WebhookEvent) -> None:
    WebhookEvent.objects.filter(pk=event.pk).update(outcome="failed", reason="no such thing")
    content = admin_client.get(list_url(WebhookEvent)).content.decode()
    assert '<span class="badge badge-bad">could not be applied</span>' in content
    assert "no such thing" in content


def test_superusers_can_delete_one_or_several_events(admin_client: Client, event: WebhookEvent) -> None:
    other = WebhookEvent.objects.create(instance=Instance.objects.get(), name="call", payload={}, digest="c")
    admin_client.post(list_url(WebhookEvent), delete_data(event))
    assert list(WebhookEvent.objects.all()) == [other]
    admin_client.post(delete_url(other), {"post": "yes"})
    assert not WebhookEvent.objects.exists()


def test_other_users_cannot_delete_events_even_with_the_permission(
    staff_client: StaffClient, event: WebhookEvent
) -> None:
    client = staff_client("view_webhookevent", "change_webhookevent", "delete_webhookevent")
    assert client.get(list_url(WebhookEvent)).status_code == 200
    client.post(list_url(WebhookEvent), delete_data(event))
    assert client.post(delete_url(event), {"post": "yes"}).status_code == 403
    assert User.objects.get().is_superuser is False
    assert WebhookEvent.objects.exists()


def test_a_failed_event_shows_its_failures_and_the_next_attempt(admin_client: Client, event: WebhookEvent) -> None:
    due = dt.datetime(2031, 5, 6, 7, 8, tzinfo=dt.UTC)
    WebhookEvent.objects.filter(pk=event.pk).update(attempts=3, due_at=due, reason="KeyError")
    for page in (list_url(WebhookEvent), page_url(event)):
        content = admin_client.get(page).content.decode()
        assert "KeyError" in content
        assert "2031" in content
    assert (
        '<span class="cell-detail">failed attempts: 3</span>'
        in admin_client.get(list_url(WebhookEvent)).content.decode()
    )


def test_a_failed_event_can_be_replayed_with_the_change_permission(
    staff_client: StaffClient, event: WebhookEvent
) -> None:
    WebhookEvent.objects.filter(pk=event.pk).update(outcome="failed", attempts=8)
    replay_data = {"action": "replay", "_selected_action": [str(event.pk)], "post": "yes"}
    staff_client("view_webhookevent").post(list_url(WebhookEvent), replay_data)
    assert WebhookEvent.objects.get().outcome == "failed"
    User.objects.all().delete()
    content = staff_client("view_webhookevent", "change_webhookevent").post(
        list_url(WebhookEvent), replay_data, follow=True
    )
    assert "1 event queued to be processed again." in content.content.decode()
    assert (WebhookEvent.objects.get().outcome, WebhookEvent.objects.get().attempts) == ("stored", 0)


def test_a_replay_asks_first_and_can_be_started_from_the_page_of_the_event(
    admin_client: Client, event: WebhookEvent
) -> None:
    applied = WebhookEvent.objects.create(
        instance=event.instance, name="call", payload={}, digest="c", outcome="applied"
    )
    WebhookEvent.objects.filter(pk=event.pk).update(outcome="failed")
    assert "Replay this event" in admin_client.get(page_url(event)).content.decode()
    assert "Replay this event" not in admin_client.get(page_url(applied)).content.decode()
    form = {"action": "replay", "index": "0", "_selected_action": [event.pk, applied.pk]}
    asked = admin_client.post(list_url(WebhookEvent), form).content.decode()
    assert "A worker will process 1 event again" in asked
    assert "1 selected event is left out" in asked
    assert WebhookEvent.objects.get(pk=event.pk).outcome == "failed"
    admin_client.post(list_url(WebhookEvent), {**form, "post": "yes"})
    assert WebhookEvent.objects.get(pk=event.pk).outcome == "stored"
    assert WebhookEvent.objects.get(pk=applied.pk).outcome == "applied"


def test_staff_who_may_only_view_see_no_button(staff_client: StaffClient, event: WebhookEvent) -> None:
    WebhookEvent.objects.filter(pk=event.pk).update(outcome="failed")
    assert "Replay this event" not in staff_client("view_webhookevent").get(page_url(event)).content.decode()
