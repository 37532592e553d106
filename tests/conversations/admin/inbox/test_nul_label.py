import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tests.conversations.rows import a_chat, an_instance

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("action", ["add_label", "remove_label"])
def test_a_label_that_the_database_cannot_hold_changes_nothing(admin_client: Client, action: str) -> None:
    chat = a_chat(an_instance())
    response = admin_client.post(reverse("admin:inbox_actions"), {"pk": chat.pk, "action": action, "label": "\0"})
    assert response.status_code == 302
    assert not list(get_messages(response.wsgi_request))
