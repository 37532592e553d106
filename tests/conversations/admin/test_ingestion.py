import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations.ingest import metrics
from conversations.ingest.counter_meanings import MEANINGS
from conversations.ingest.status import WARNED_FOR
from conversations.models import IngestCounter, WebhookEvent
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.admin.pages import page_url
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
URL = reverse("admin:conversations_ingestcounter_changelist")


@pytest.fixture
def event(populate: Populate) -> WebhookEvent:
    populate(1)
    return WebhookEvent.objects.get()


def test_the_page_shows_the_queue_failures_imports_and_counters(admin_client: Client, event: WebhookEvent) -> None:
    IngestCounter.objects.create(instance=event.instance, name="coalesced", value=4321)
    for part in range(1, 16):
        WebhookEvent.objects.create(
            instance=event.instance, name="messages.set", payload={}, digest=str(part), is_history=True, part=part,
            parts=15, outcome="applied" if part < 8 else "stored",
        )  # fmt: skip
    WebhookEvent.objects.filter(is_history=True).update(received_at=event.received_at)
    WebhookEvent.objects.create(instance=event.instance, name="call", payload={}, digest="call", outcome="failed")
    content = admin_client.get(URL).content.decode()
    assert "Waiting to be applied" in content
    assert "9 events</a>" in content
    assert "1 event</a>" in content
    assert "7 of 15 parts applied" in content
    meaning = MEANINGS["coalesced"]
    assert f'<td>coalesced</td><td>{meaning}</td><td class="number">4321</td>' in content


def test_the_page_warns_of_refused_webhooks(admin_client: Client, event: WebhookEvent) -> None:
    assert "warning" not in admin_client.get(URL).content.decode()
    IngestCounter.objects.create(instance=event.instance, name="refused", value=7)
    assert f"7 events of {event.instance}: refused" in admin_client.get(URL).content.decode()


@pytest.mark.parametrize("counted_at", [None, timezone.now() - WARNED_FOR])
def test_the_page_no_longer_warns_of_what_ended_long_ago(
    admin_client: Client, event: WebhookEvent, counted_at: dt.datetime | None
) -> None:
    IngestCounter.objects.create(instance=event.instance, name="refused", value=7, counted_at=counted_at)
    assert "warning" not in admin_client.get(URL).content.decode()
    metrics.add_to_totals({(event.instance.pk, "refused"): 1})
    assert f"8 events of {event.instance}: refused" in admin_client.get(URL).content.decode()


def test_the_page_can_be_restricted_to_one_instance(
    admin_client: Client, event: WebhookEvent, populate: Populate
) -> None:
    populate(1)
    IngestCounter.objects.create(instance=event.instance, name="coalesced", value=4321)
    other = WebhookEvent.objects.exclude(pk=event.pk).get().instance
    link = f"{URL}?instance={other.pk}"
    assert link in admin_client.get(page_url(other)).content.decode()
    content = admin_client.get(link).content.decode()
    assert f"Ingestion of {other.name}" in content
    assert "1 event</a>" in content
    assert "4321" not in content


@pytest.mark.parametrize("instance", ["999", "x", "9" * 40, "-1"])
def test_an_unknown_instance_is_not_found(admin_client: Client, instance: str) -> None:
    assert admin_client.get(f"{URL}?instance={instance}").status_code == 404


def test_the_view_permission_is_sufficient_and_there_is_no_add_page(staff_client: StaffClient) -> None:
    instance = an_instance()
    client = staff_client("view_ingestcounter")
    assert client.get(URL, {"instance": instance.pk}).status_code == 200
    assert client.get(f"{URL}add/").status_code == 404


def test_users_without_the_view_permission_are_refused(staff_client: StaffClient) -> None:
    assert staff_client("view_webhookevent").get(URL).status_code == 403


def test_staff_see_their_own_numbers_without_an_instance_in_the_address(staff_client: StaffClient) -> None:
    own = an_instance(name="own")
    client = staff_client("view_ingestcounter")
    for instance, value in ((own, 4321), (an_instance(name="foreign"), 8765)):
        IngestCounter.objects.create(instance=instance, name="coalesced", value=value)
        IngestCounter.objects.create(instance=instance, name="refused", value=value)
        WebhookEvent.objects.create(instance=instance, name="call", payload={}, digest=instance.name, outcome="failed")
    content = client.get(URL).content.decode()
    assert f'<td>coalesced</td><td>{MEANINGS["coalesced"]}</td><td class="number">4321</td>' in content
    assert f'{URL}?instance={own.pk}"><bdi>own</bdi>' in content
    assert f"4321 events of {own}" in content
    assert "1 event</a>" in content
    assert "foreign" not in content


def test_staff_without_numbers_see_an_empty_page(staff_client: StaffClient) -> None:
    client = staff_client("view_ingestcounter")
    IngestCounter.objects.create(instance=an_instance(name="foreign"), name="coalesced", value=4321)
    response = client.get(URL)
    assert response.status_code == 200
    assert "4321" not in response.content.decode()
