import pytest
from django.test import Client
from django.urls import reverse

from conversations.models import IngestCounter, WebhookEvent
from tests.conversations.admin.conftest import Populate, Staff
from tests.conversations.admin.pages import page_url

PAGE = reverse("admin:conversations_ingestcounter_changelist")


@pytest.fixture
def event(populate: Populate) -> WebhookEvent:
    populate(1)
    return WebhookEvent.objects.get()


def test_what_waits_what_failed_and_how_far_imports_are(admin_client: Client, event: WebhookEvent) -> None:
    IngestCounter.objects.create(instance=event.instance, name="coalesced", value=4321)
    for part in range(1, 16):
        WebhookEvent.objects.create(
            instance=event.instance, name="messages.set", payload={}, digest=str(part), is_history=True, part=part,
            parts=15, outcome="applied" if part < 8 else "stored",
        )  # fmt: skip
    WebhookEvent.objects.filter(is_history=True).update(received_at=event.received_at)
    WebhookEvent.objects.create(instance=event.instance, name="call", payload={}, digest="call", outcome="failed")
    content = admin_client.get(PAGE).content.decode()
    assert "9 events</a> wait" in content
    assert ">1</a> has failed for good" in content
    assert "7 of 15 parts are applied" in content
    assert '<td>coalesced</td><td class="number">4321</td>' in content


def test_one_instance_has_its_own(admin_client: Client, event: WebhookEvent, populate: Populate) -> None:
    populate(1)
    IngestCounter.objects.create(instance=event.instance, name="coalesced", value=4321)
    other = WebhookEvent.objects.exclude(pk=event.pk).get().instance
    link = f"{PAGE}?instance={other.pk}"
    assert link in admin_client.get(page_url(other)).content.decode()
    content = admin_client.get(link).content.decode()
    assert f"Inbox of {other.name}" in content
    assert "1 event</a> waits" in content
    assert "4321" not in content


@pytest.mark.parametrize("instance", ["999", "x", "9" * 40, "-1"])
def test_of_no_instance_there_is_none(admin_client: Client, instance: str) -> None:
    assert admin_client.get(f"{PAGE}?instance={instance}").status_code == 404


def test_it_is_for_who_may_view_it(staff: Staff) -> None:
    client = staff("view_ingestcounter")
    assert client.get(PAGE).status_code == 200
    assert client.get(f"{PAGE}add/").status_code == 404


def test_nobody_else_sees_it(staff: Staff) -> None:
    assert staff("view_webhookevent").get(PAGE).status_code == 403
