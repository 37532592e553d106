"""Every page of the admin takes as many queries with 500 instances as with 60, also for staff who may read all."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from conversations.models import (
    ApiToken,
    Contact,
    Conversation,
    IngestCounter,
    IngestLease,
    Instance,
    Membership,
    Message,
    ReadingRecord,
    WebhookEvent,
    WebhookSubscription,
)
from tests.conversations.admin.conftest import START

pytestmark = pytest.mark.django_db


def add_instances(user: User, first: int, count: int) -> None:
    numbers = range(first, first + count)
    instances = Instance.objects.bulk_create(
        Instance(name=f"loja-{n:03}", state="open", labels={"1": {"name": "Pago"}}) for n in numbers
    )
    jids = [f"55119{n:08}@s.whatsapp.net" for n in numbers]
    contacts = Contact.objects.bulk_create(
        Contact(instance=one, jid=jid, name=f"Ana {n}") for n, one, jid in zip(numbers, instances, jids, strict=True)
    )
    chats = Conversation.objects.bulk_create(
        Conversation(
            kind="direct",
            instance=one.instance,
            jid=one.jid,
            contact=one,
            name=one.name,
            last_message_at=START,
            unread_count=1,
        )
        for one in contacts
    )
    Message.objects.bulk_create(
        Message(instance=chat.instance, conversation=chat, key_id=f"K{chat.pk}", from_me=False, sender=chat.contact,
                timestamp=START, kind="text", text="bom dia")
        for chat in chats
    )  # fmt: skip
    WebhookEvent.objects.bulk_create(
        WebhookEvent(instance=one, name="messages.upsert", payload={}, digest=f"{one.pk:064}") for one in instances
    )
    IngestCounter.objects.bulk_create(IngestCounter(instance=one, name="refused", value=1) for one in instances)
    IngestLease.objects.bulk_create(IngestLease(instance=one, next_at=START) for one in instances)
    Membership.objects.bulk_create(Membership(user=user, instance=one, role="reader") for one in instances)
    ReadingRecord.objects.bulk_create(
        ReadingRecord(user=user, username=user.username, instance=chat.instance, conversation_jid=chat.jid)
        for chat in chats
    )


def pages() -> Iterator[str]:
    yield reverse("admin:index")
    yield from (reverse("admin:inbox") + query for query in ("", "?state=unread", "?q=ana", "?q=bom", "?part=list"))
    chat = reverse("admin:inbox_conversation", args=[Conversation.objects.earliest("pk").pk])
    yield from (chat, f"{chat}?part=thread")
    for model in admin.site._registry:  # noqa: SLF001 - Django has no public name for the registered models
        prefix = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001 - Django documents _meta
        yield reverse(f"{prefix}_changelist")
        try:
            row = model._default_manager.order_by("pk").first()  # noqa: SLF001 - Django documents _default_manager
            yield from (reverse(f"{prefix}_{page}", args=[row.pk]) for page in ("change", "delete") if row)
            yield reverse(f"{prefix}_add")
        except NoReverseMatch:
            continue  # a page of its own takes the place of the list


def count_queries(client: Client, urls: Iterable[str]) -> dict[str, int]:
    """Return the number of queries of each page that is shown."""
    counts = {}
    for url in urls:
        with CaptureQueriesContext(connection) as queries:
            if client.get(url).status_code == 200:
                counts[url] = len(queries)
    return counts


@pytest.mark.parametrize("is_superuser", [True, False])
def test_the_number_of_queries_does_not_depend_on_the_number_of_instances(is_superuser: Any) -> None:
    user = User.objects.create_user("ana", is_staff=True, is_superuser=is_superuser)
    user.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(user)
    add_instances(user, 0, 60)
    ApiToken.objects.issue(user)
    WebhookSubscription.objects.create(user=user, name="crm", url="https://crm.example/")
    few = count_queries(client, pages())
    add_instances(user, 60, 440)
    many = count_queries(client, few)
    assert len(few) >= (40 if is_superuser else 20)
    # On a busy machine the cache may leave one read to the database; then a second look finds no further query.
    again = count_queries(client, [url for url in few if many[url] > few[url]])
    assert {url: (few[url], count) for url, count in again.items() if count > few[url]} == {}
