import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.admin import contact_chats
from conversations.models import Contact, Conversation, Participant
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.admin.pages import list_url, page_url
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db
OPENED = r'href="/admin/inbox/\d+/"><bdi>(.*?)</bdi>'


def test_the_page_links_to_the_conversation_and_shows_all_addresses(admin_client: Client, chat: Conversation) -> None:
    contact = Contact.objects.get()
    contact.addresses.create(instance=contact.instance, key="lid:777", jid="777@lid")
    content = admin_client.get(page_url(contact)).content.decode()
    assert f'/admin/inbox/{chat.pk}/"><bdi>Ana 000</bdi>' in content
    assert "5511999000000@s.whatsapp.net, 777@lid" in content


def test_a_contact_without_a_conversation_has_no_link(admin_client: Client, chat: Conversation) -> None:
    other, _ = Contact.objects.upsert(chat.instance, "5521999990000@s.whatsapp.net")
    content = admin_client.get(page_url(other)).content.decode()
    assert not re.search(r"/admin/(inbox|conversations/conversation)/\d", content)
    assert "+5521999990000" in admin_client.get(list_url(Contact)).content.decode()


def test_a_picture_is_linked_and_not_embedded(admin_client: Client, chat: Conversation) -> None:
    Contact.objects.update(picture_url="https://pps.whatsapp.net/v/1.jpg?a=1&b=2")
    content = admin_client.get(page_url(Contact.objects.get())).content.decode()
    assert 'href="https://pps.whatsapp.net/v/1.jpg?a=1&amp;b=2" rel="noopener noreferrer"' in content
    assert "<img class" not in content
    assert chat.contact_id


@pytest.mark.parametrize("term", ["Ana 001", "+55 11 99900-0001", "999000001"])
def test_a_contact_is_found_by_name_or_by_a_number_in_any_format(
    admin_client: Client, populate: Populate, term: str
) -> None:
    populate(3)
    content = admin_client.get(list_url(Contact), {"q": term}).content.decode()
    assert "1 contact" in content
    assert "Ana 001" in content


def a_member(groups: int) -> Contact:
    """Create a contact with a direct conversation, who is a member of groups, the last one with the latest message."""
    shop = an_instance()
    ana = a_contact(shop, name="Ana")
    a_chat(shop, contact=ana, last_message_at=NOON)
    for number in range(groups):
        group = a_group(shop, name=f"group {number:02}", last_message_at=NOON.replace(minute=number + 1))
        Participant.objects.create(conversation=group, contact=ana, clock="1")
    return ana


def test_the_page_links_to_the_direct_chat_and_the_groups_the_latest_first(admin_client: Client) -> None:
    ana = a_member(2)
    wrote = a_group(ana.instance, name="", last_message_at=NOON.replace(minute=50))
    a_message(wrote, sender=ana)
    left = a_group(ana.instance, name="left")
    Participant.objects.create(conversation=left, contact=ana, clock="1", is_present=False)
    renewed = a_group(ana.instance, name="renewed", participants_as_of="2")
    Participant.objects.create(conversation=renewed, contact=ana, clock="1")
    a_message(a_group(ana.instance, name="of others"), sender=a_contact(ana.instance))

    content = admin_client.get(page_url(ana)).content.decode()

    number = wrote.jid.partition("@")[0]
    assert re.findall(OPENED, content) == [number, "group 01", "group 00", "Ana"]


def test_the_page_shows_the_latest_and_links_to_the_rest(admin_client: Client) -> None:
    ana = a_member(contact_chats.SHOWN + 5)
    a_group(ana.instance, name="of others")
    content = admin_client.get(page_url(ana)).content.decode()
    assert len(re.findall(OPENED, content)) == contact_chats.SHOWN
    url = f"{list_url(Conversation)}?contact={ana.pk}"
    assert url in content
    content = admin_client.get(url).content.decode()
    assert f"{contact_chats.SHOWN + 6} conversations" in content
    assert "of others" not in content


@pytest.mark.parametrize("value", ["x", "0", "9" * 30, "1000000"])
def test_an_unknown_contact_has_no_conversations(admin_client: Client, value: str) -> None:
    a_member(1)
    assert "group 00" not in admin_client.get(list_url(Conversation), {"contact": value}).content.decode()


def test_the_list_links_to_the_latest_conversations_of_each_contact(admin_client: Client) -> None:
    ana = a_member(contact_chats.SHOWN_IN_LIST + 1)
    bob = a_contact(ana.instance, name="Bob")
    a_chat(ana.instance, contact=bob)
    content = admin_client.get(list_url(Contact)).content.decode()
    assert re.findall(OPENED, content) == ["group 03", "group 02", "group 01", "Bob"]
    assert re.findall(r"\?contact=(\d+)", content) == [str(ana.pk)]


def test_the_number_of_queries_does_not_depend_on_the_number_of_conversations(admin_client: Client) -> None:
    counts = []
    for groups in (1, 30):
        ana = a_member(groups)
        a_message(a_group(ana.instance, name="wrote"), sender=ana)
        for url in (page_url(ana), list_url(Contact)):
            admin_client.get(url)
            with CaptureQueriesContext(connection) as queries:
                admin_client.get(url)
            counts.append(len(queries))
    assert counts[:2] == counts[2:]


def test_conversations_are_for_those_who_may_see_them(staff_client: StaffClient) -> None:
    ana = a_member(1)
    client = staff_client("view_contact")
    foreign = a_member(1)
    for url in (page_url(ana), list_url(Contact)):
        content = client.get(url).content.decode()
        assert "Ana" in content
        assert "group 00" not in content
    User.objects.get(username="ines").user_permissions.add(Permission.objects.get(codename="view_conversation"))
    assert "group 00" in client.get(page_url(ana)).content.decode()
    assert "group 00" in client.get(list_url(Conversation), {"contact": ana.pk}).content.decode()
    content = client.get(list_url(Conversation), {"contact": foreign.pk}).content.decode()
    assert "group 00" not in content
    assert "Ana" not in content
