from typing import Any

import pytest
from django.test import Client

from conversations.models import Conversation
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.admin.pages import list_url
from tests.conversations.rows import NOON


def run_action(client: Client, action: str, *rows: Conversation) -> Any:
    data = {"action": action, "index": "0", "_selected_action": [str(row.pk) for row in rows]}
    return client.post(list_url(Conversation), data, follow=True)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("mark_read", {"unread_count": 4}, {"unread_count": 0}),
        ("mark_unread", {"unread_count": 0}, {"unread_mark__isnull": False}),
        ("archive", {"is_archived": False}, {"is_archived": True}),
        ("unarchive", {"is_archived": True}, {"is_archived": False}),
        ("pin", {"is_pinned": False}, {"is_pinned": True}),
        ("unpin", {"is_pinned": True}, {"is_pinned": False}),
        ("unmute", {"muted_until": NOON}, {"muted_until": None}),
    ],
)
def test_an_action_updates_the_selected_rows_only(
    admin_client: Client, populate: Populate, action: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    populate(3)
    Conversation.objects.update(**before)
    first, second, unselected = Conversation.objects.order_by("id")
    assert "2 conversations updated" in run_action(admin_client, action, first, second).content.decode()
    assert Conversation.objects.filter(pk__in=(first.pk, second.pk), **after).count() == 2
    assert Conversation.objects.filter(pk=unselected.pk, **before).exists()


def test_mark_as_read_moves_the_read_watermark(admin_client: Client, chat: Conversation) -> None:
    run_action(admin_client, "mark_read", chat)
    chat.refresh_from_db()
    assert chat.read_until == chat.last_message_at


def test_actions_require_the_change_permission(staff_client: StaffClient, chat: Conversation) -> None:
    Conversation.objects.update(is_archived=False)
    client = staff_client("view_conversation")
    assert 'name="action"' not in client.get(list_url(Conversation)).content.decode()
    run_action(client, "archive", chat)
    assert not Conversation.objects.filter(is_archived=True).exists()
