import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.admin.inbox.actions import LABEL_ACTIONS, TITLES, offered
from conversations.models import Conversation, Instance, Membership, Role
from conversations.models.conversation_changes import ACTIONS
from tests.conversations.admin.conftest import Populate, StaffClient

pytestmark = pytest.mark.django_db
URL = "/admin/inbox/actions/"


@pytest.fixture
def chats(populate: Populate) -> list[Conversation]:
    populate(3)
    Conversation.objects.update(is_archived=False)
    return list(Conversation.objects.order_by("pk"))


def test_a_list_offers_what_changes_it() -> None:
    assert {"archive", "pin", "unpin"} <= offered("unread", has_labels=False).keys()
    assert "archive" not in offered("archived", has_labels=True)
    assert "unarchive" not in offered("", has_labels=True)
    assert "pin" not in offered("pinned", has_labels=True)
    assert offered("", has_labels=True).keys() >= LABEL_ACTIONS
    assert TITLES.keys() <= ACTIONS.keys()


def archived() -> list[bool]:
    return list(Conversation.objects.order_by("pk").values_list("is_archived", flat=True))


def test_an_action_changes_the_selected_conversations_and_goes_back(
    admin_client: Client, chats: list[Conversation]
) -> None:
    data = {"action": "archive", "pk": [chats[0].pk, chats[2].pk], "back": "state=unread&x=1"}
    assert admin_client.post(URL, data)["Location"] == "/admin/inbox/?state=unread"
    assert archived() == [True, False, True]
    answer = admin_client.post(URL, {"action": "unarchive", "pk": chats[0].pk, "opened": chats[0].pk}, follow=True)
    assert answer.redirect_chain == [(f"/admin/inbox/{chats[0].pk}/", 302)]
    assert "1 conversation updated." in answer.content.decode()
    assert archived() == [False, False, True]


def test_a_label_is_added_and_removed(admin_client: Client, chats: list[Conversation]) -> None:
    Instance.objects.filter(pk=chats[0].instance_id).update(labels={"7": {"name": "Urgent"}})
    for action, expected in (("add_label", {"7"}), ("remove_label", set())):
        admin_client.post(URL, {"action": action, "pk": [chat.pk for chat in chats], "label": "7"})
        found = [Conversation.objects.get(pk=chat.pk).attached_labels for chat in chats]
        assert found == [expected, set(), set()], "another number does not have the label"


@pytest.mark.parametrize("data", [{}, {"action": "x"}, {"action": "mute"}, {"action": "add_label"}, {"pk": "x"}])
def test_a_wrong_request_changes_nothing(admin_client: Client, chats: list[Conversation], data: dict[str, str]) -> None:
    before = list(Conversation.objects.order_by("pk").values())
    assert admin_client.post(URL, {"pk": [str(chats[0].pk)], **data}).status_code == 302
    assert list(Conversation.objects.order_by("pk").values()) == before
    assert admin_client.get(URL).status_code == 405


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "q=%00"])
def test_it_goes_back_to_the_inbox_only(admin_client: Client, chats: list[Conversation], back: str) -> None:
    answer = admin_client.post(URL, {"action": "pin", "pk": chats[0].pk, "back": back, "opened": back})
    assert answer["Location"] == "/admin/inbox/"


def test_roles_decide_what_is_changed(staff_client: StaffClient, chats: list[Conversation]) -> None:
    client = staff_client("view_conversation", "change_conversation")
    Membership.objects.filter(instance=chats[0].instance_id).update(role=Role.AGENT)
    Membership.objects.filter(instance=chats[1].instance_id).update(role=Role.READER)
    Membership.objects.filter(instance=chats[2].instance_id).delete()
    User.objects.get(username="ines").save()
    client.post(URL, {"action": "archive", "pk": [chat.pk for chat in chats]})
    assert archived() == [True, False, False]
