"""The audit trail lists who changed what in the admin, for superusers."""

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse

from conversations.models import Instance
from tests.conversations.admin.conftest import StaffClient
from tests.conversations.admin.pages import page_url
from tests.conversations.rows import an_instance

URL = reverse("admin:admin_logentry_changelist")
pytestmark = pytest.mark.django_db


def log(user: User, instance: Instance, flag: int, text: str) -> None:
    LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(Instance), object_id=str(instance.pk),
        object_repr=text, action_flag=flag, change_message=f"about {text}",
    )  # fmt: skip


def test_entries_have_links_and_can_be_filtered(admin_client: Client, admin_user: User) -> None:
    other = User.objects.create_user("bia", is_staff=True)
    kept, gone = an_instance(), an_instance()
    log(admin_user, kept, CHANGE, "kept")
    log(other, gone, DELETION, "gone")
    content = admin_client.get(URL).content.decode()
    assert f'<a href="{page_url(kept)}">kept</a>' in content
    assert page_url(gone) not in content
    assert "about gone" in content
    chosen = admin_client.get(URL, {"who": other.pk}).content.decode()
    assert "about gone" in chosen
    assert "about kept" not in chosen
    assert "about" not in admin_client.get(URL, {"who": "x"}).content.decode()


def test_only_superusers_see_the_trail(staff_client: StaffClient) -> None:
    assert staff_client("view_logentry").get(URL).status_code == 403
