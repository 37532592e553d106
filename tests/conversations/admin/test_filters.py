import re
from typing import Any

import pytest
from django.test import Client

from conversations.admin.filters import InstanceFilter
from conversations.models import Conversation, Instance, Message, WebhookEvent
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import change_list, list_url


def test_the_instance_filter_selects_the_rows_of_the_instance(admin_user: Any, populate: Populate) -> None:
    populate(3)
    selected = Instance.objects.get(name="loja-001")
    assert [row.text for row in change_list(Message, admin_user, f"instance={selected.pk}").queryset] == ["Bom dia 001"]


@pytest.mark.parametrize("value", ["x", "-1", "²", "9" * 30, "0"])
def test_an_unknown_instance_selects_no_rows(admin_client: Client, populate: Populate, value: str) -> None:
    populate(2)
    response = admin_client.get(list_url(Message), {"instance": value})
    assert response.status_code == 200
    assert "Nothing matches" in response.content.decode()


def test_the_selected_instance_is_always_among_the_choices(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InstanceFilter, "max_choices", 2)
    populate(4)
    last = Instance.objects.get(name="loja-003")
    assert f'<option value="{last.pk}"' not in admin_client.get(list_url(Message)).content.decode()
    chosen = admin_client.get(list_url(Message), {"instance": last.pk}).content.decode()
    assert f'<option value="{last.pk}" selected>loja-003 · +551140000003</option>' in chosen


def test_a_drop_down_keeps_the_other_parameters(admin_client: Client, populate: Populate) -> None:
    populate(1)
    query = {"q": "Bom", "kind__exact": "text", "p": "2", "e": "1", "instance": str(Instance.objects.get().pk)}
    content = admin_client.get(list_url(Message), query, follow=True).content.decode()
    form = content.split('<form method="get" class="choice-filter">')[1].split("</form>")[0]
    assert re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', form) == [
        ("q", "Bom"),
        ("kind__exact", "text"),
    ]


def test_the_unread_filter_selects_conversations_with_or_without_unread_messages(
    admin_user: Any, populate: Populate
) -> None:
    populate(3)
    unread_counts = [row.unread_count for row in change_list(Conversation, admin_user, "unread=1").queryset]
    assert sorted(unread_counts) == [1, 2]
    assert [row.unread_count for row in change_list(Conversation, admin_user, "unread=0").queryset] == [0]
    assert change_list(Conversation, admin_user, "unread=maybe").queryset.count() == 3


def test_the_event_filter_selects_events_by_name(admin_user: Any, populate: Populate) -> None:
    populate(1)
    instance = Instance.objects.get()
    WebhookEvent.objects.create(instance=instance, name="call", payload={}, digest="c")
    assert [row.name for row in change_list(WebhookEvent, admin_user, "event=call").queryset] == ["call"]
