from typing import Any

import pytest
from django.db.models.signals import post_save
from django.test import Client

from conversations.models import Conversation
from tests.conversations.admin.conftest import Populate, Staff
from tests.conversations.admin.pages import list_url


def run(client: Client, action: str, *rows: Conversation) -> Any:
    data = {"action": action, "index": "0", "_selected_action": [str(row.pk) for row in rows]}
    return client.post(list_url(Conversation), data, follow=True)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("mark_read", {"unread_count": 4}, {"unread_count": 0}),
        ("archive", {"is_archived": False}, {"is_archived": True}),
        ("unarchive", {"is_archived": True}, {"is_archived": False}),
        ("pin", {"is_pinned": False}, {"is_pinned": True}),
        ("unpin", {"is_pinned": True}, {"is_pinned": False}),
    ],
)
def test_an_action_does_what_the_manager_does_to_the_chosen_rows(
    admin_client: Client, populate: Populate, action: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    populate(3)
    Conversation.objects.update(**before)
    one, other, rest = Conversation.objects.order_by("id")
    assert "2 done" in run(admin_client, action, one, other).content.decode()
    assert Conversation.objects.filter(pk__in=(one.pk, other.pk), **after).count() == 2
    assert Conversation.objects.filter(pk=rest.pk, **before).exists()


def test_marking_read_moves_the_watermark(admin_client: Client, chat: Conversation) -> None:
    run(admin_client, "mark_read", chat)
    chat.refresh_from_db()
    assert chat.read_until == chat.last_message_at


def test_actions_take_the_permission_to_change(staff: Staff, chat: Conversation) -> None:
    Conversation.objects.update(is_archived=False)
    client = staff("view_conversation")
    assert 'name="action"' not in client.get(list_url(Conversation)).content.decode()
    run(client, "archive", chat)
    assert not Conversation.objects.filter(is_archived=True).exists()


def test_a_row_deleted_meanwhile_is_passed_over(admin_client: Client, populate: Populate) -> None:
    populate(3)
    Conversation.objects.update(is_pinned=False)

    def delete_another(instance: Conversation, **_: Any) -> None:
        others = Conversation.objects.filter(is_pinned=False).exclude(pk=instance.pk)
        Conversation.objects.delete(others[0].pk)

    post_save.connect(delete_another, sender=Conversation)
    try:
        content = run(admin_client, "pin", *Conversation.objects.all()[:2]).content.decode()
    finally:
        post_save.disconnect(delete_another, sender=Conversation)
    assert "Pin: 1 done" in content
