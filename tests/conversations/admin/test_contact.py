import re

import pytest
from django.test import Client

from conversations.models import Contact, Conversation
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import list_url, page_url


def test_the_page_links_to_the_conversation_and_shows_all_addresses(admin_client: Client, chat: Conversation) -> None:
    contact = Contact.objects.get()
    contact.addresses.create(instance=contact.instance, key="lid:777", jid="777@lid")
    content = admin_client.get(page_url(contact)).content.decode()
    assert f'/admin/inbox/{chat.pk}/">Open conversation' in content
    assert "5511999000000@s.whatsapp.net, 777@lid" in content


def test_a_contact_without_a_conversation_has_no_link(admin_client: Client, chat: Conversation) -> None:
    other, _ = Contact.objects.upsert(chat.instance, "5521999990000@s.whatsapp.net")
    content = admin_client.get(page_url(other)).content.decode()
    assert "Open conversation" not in content
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
