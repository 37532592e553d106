"""Staff who are not superusers see and change only the rows of their instances, and what they read is recorded."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from conversations.models import Contact, Conversation, Instance, Membership, Message, ReadingRecord, Role, WebhookEvent
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import delete_url, list_url, page_url
from tests.conversations.rows import NOON

pytestmark = pytest.mark.django_db
MODELS = (Instance, Contact, Conversation, Message, WebhookEvent)


@pytest.fixture
def staff(populate: Populate) -> Client:
    """Log in a staff user with all permissions, who is an agent of the first of two instances."""
    populate(2)
    user = User.objects.create_user("ana", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="conversations"))
    Membership.objects.create(user=user, instance=Instance.objects.order_by("pk")[0], role=Role.AGENT)
    client = Client()
    client.force_login(user)
    return client


def rows_of(model: Any) -> tuple[Any, Any]:
    own, foreign = model.objects.order_by("pk")[:2]
    return own, foreign


@pytest.mark.parametrize("model", MODELS)
def test_lists_show_the_rows_of_the_users_instances(staff: Client, model: Any) -> None:
    own, foreign = rows_of(model)
    page = staff.get(list_url(model)).content.decode()
    assert page_url(own) in page
    assert page_url(foreign) not in page
    assert Instance.objects.order_by("pk")[1].name not in page, "no filter offers it"


@pytest.mark.parametrize("model", [Contact, Conversation, Message, WebhookEvent])
def test_a_foreign_instance_is_no_choice_even_if_it_is_chosen(staff: Client, model: Any) -> None:
    foreign = Instance.objects.order_by("pk")[1]
    page = staff.get(list_url(model), {"instance": foreign.pk}).content.decode()
    assert foreign.name not in page
    assert "Nothing matches" in page


@pytest.mark.parametrize("model", MODELS)
def test_a_row_of_another_instance_does_not_exist(staff: Client, model: Any) -> None:
    own, foreign = rows_of(model)
    assert staff.get(page_url(own)).status_code == 200
    for url in (page_url(foreign), delete_url(foreign), f"{page_url(foreign)}../history/"):
        assert staff.get(url).status_code in (302, 403, 404), url
    assert type(foreign).objects.filter(pk=foreign.pk).exists()


def test_a_filter_by_another_instance_shows_nothing(staff: Client) -> None:
    _, foreign = rows_of(Conversation)
    page = staff.get(list_url(Conversation), {"instance": foreign.instance_id}).content.decode()
    assert "0 conversations" in page


def test_actions_do_not_change_rows_of_another_instance(staff: Client) -> None:
    own, foreign = rows_of(Conversation)
    Conversation.objects.update(is_archived=False)
    staff.post(list_url(Conversation), {"action": "archive", "_selected_action": [own.pk, foreign.pk]})
    assert [row.is_archived for row in rows_of(Conversation)] == [True, False]


def test_a_reader_changes_nothing(staff: Client) -> None:
    own, _ = rows_of(Conversation)
    Conversation.objects.update(is_archived=False)
    Membership.objects.update(role=Role.READER)
    assert staff.post(page_url(own), {"is_archived": "on", "is_pinned": "on"}).status_code == 403
    staff.post(list_url(Conversation), {"action": "archive", "_selected_action": [own.pk]})
    assert staff.post(delete_url(own), {"post": "yes"}).status_code == 403
    assert [row.is_archived for row in rows_of(Conversation)] == [False, False]


def test_the_ingestion_page_shows_the_users_instances(staff: Client) -> None:
    own, foreign = rows_of(Instance)
    url = "/admin/conversations/ingestcounter/"
    assert staff.get(url, {"instance": own.pk}).status_code == 200
    assert staff.get(url, {"instance": foreign.pk}).status_code == 404
    page = staff.get(url).content.decode()
    assert own.name in page
    assert foreign.name not in page


def test_memberships_tokens_and_records_are_for_superusers(staff: Client) -> None:
    for model in ("membership", "apitoken", "readingrecord"):
        assert staff.get(f"/admin/conversations/{model}/").status_code == 403
        assert staff.get(f"/admin/conversations/{model}/add/").status_code == 403


def test_staff_cannot_make_themselves_superusers(staff: Client) -> None:
    user = User.objects.get(username="ana")
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="auth"))
    page = f"/admin/auth/user/{user.pk}/change/"
    assert staff.get(page).status_code == 403
    assert staff.post(page, {"username": "ana", "is_superuser": "on"}).status_code == 403
    assert staff.get("/admin/auth/user/").status_code == 403
    user.refresh_from_db()
    assert not user.is_superuser


def test_reading_a_conversation_is_recorded(staff: Client) -> None:
    own, foreign = rows_of(Conversation)
    staff.get(page_url(own))
    staff.get(page_url(foreign))
    record = ReadingRecord.objects.get()
    assert (record.username, record.conversation_pk, record.instance_id) == ("ana", own.pk, own.instance_id)
    User.objects.filter(username="ana").delete()
    assert ReadingRecord.objects.get().username == "ana"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
@pytest.mark.parametrize("model", [Conversation, Message])
def test_a_list_that_shows_messages_is_recorded_whatever_the_method(staff: Client, model: Any, method: str) -> None:
    Conversation.objects.update(last_message_at=NOON, last_message_text="hello")
    own, _ = rows_of(model)
    answer = staff.generic(method, list_url(model))
    assert page_url(own) in answer.content.decode()
    assert ReadingRecord.objects.exists()


def test_no_page_completes_terms_because_it_would_search_messages_without_a_record(staff: Client) -> None:
    query = {"app_label": "conversations", "model_name": "conversation", "field_name": "last_message", "term": "hello"}
    assert staff.get("/admin/autocomplete/", query).status_code == 404
    assert staff.get("/admin/autocomplete/", {**query, "field_name": "messages"}).status_code == 404


def test_who_adds_an_instance_becomes_its_manager(staff: Client) -> None:
    staff.post("/admin/conversations/instance/add/", {"name": "nova", "server_url": ""})
    assert Membership.objects.get(instance__name="nova").role == Role.MANAGER
