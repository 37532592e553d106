from typing import Any

import pytest
from django.test import Client

from conversations.admin.filters import InstanceFilter
from conversations.models import Conversation, Instance, Message, WebhookEvent
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import list_url, listing


def test_an_instance_keeps_its_rows_only(admin_user: Any, populate: Populate) -> None:
    populate(3)
    chosen = Instance.objects.get(name="loja-001")
    assert [row.text for row in listing(Message, admin_user, f"instance={chosen.pk}").queryset] == ["Bom dia 001"]


@pytest.mark.parametrize("value", ["x", "-1", "²", "9" * 30, "0"])
def test_what_names_no_instance_has_no_rows(admin_client: Client, populate: Populate, value: str) -> None:
    populate(2)
    response = admin_client.get(list_url(Message), {"instance": value})
    assert response.status_code == 200
    assert "0 messages" in response.content.decode()


def test_the_chosen_instance_is_shown_wherever_it_stands(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InstanceFilter, "shown", 2)
    populate(4)
    last = Instance.objects.get(name="loja-003")
    assert f"?instance={last.pk}" not in admin_client.get(list_url(Message)).content.decode()
    assert f"?instance={last.pk}" in admin_client.get(list_url(Message), {"instance": last.pk}).content.decode()


def test_unread_or_not(admin_user: Any, populate: Populate) -> None:
    populate(3)
    unread = [row.unread_count for row in listing(Conversation, admin_user, "unread=1").queryset]
    assert sorted(unread) == [1, 2]
    assert [row.unread_count for row in listing(Conversation, admin_user, "unread=0").queryset] == [0]
    assert listing(Conversation, admin_user, "unread=maybe").queryset.count() == 3


def test_one_kind_of_event(admin_user: Any, populate: Populate) -> None:
    populate(1)
    instance = Instance.objects.get()
    WebhookEvent.objects.create(instance=instance, name="call", payload={}, digest="c")
    assert [row.name for row in listing(WebhookEvent, admin_user, "event=call").queryset] == ["call"]
