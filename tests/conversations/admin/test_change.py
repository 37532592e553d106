"""The change log shows names and links, only of the numbers that the user may read, with a bounded effort."""

import html
import math
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.admin import change as page
from conversations.models import Change, Conversation, Instance, Membership
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
URL = reverse("admin:conversations_change_changelist")


@pytest.fixture
def staff(staff_client: StaffClient) -> Callable[[], Client]:
    return lambda: staff_client("view_change")


def test_a_change_has_the_name_of_its_row_and_a_link(admin_client: Client, populate: Populate) -> None:
    populate(1)
    chat = Conversation.objects.get()
    content = admin_client.get(URL).content.decode()
    assert reverse("admin:inbox_conversation", args=[chat.pk]) in content
    assert f"Ana 000 · {chat.pk}" in content
    assert "kind__exact=deleted" in content
    content = admin_client.get(URL, {"resource__exact": "contact"}).content.decode()
    assert reverse("admin:inbox_conversation", args=[chat.pk]) not in content


def test_the_head_of_the_list_can_be_asked_for(admin_client: Client, populate: Populate) -> None:
    populate(1)
    assert admin_client.head(URL).status_code == 200


def test_staff_see_the_changes_of_their_numbers_only(staff: Callable[[], Client], populate: Populate) -> None:
    populate(1)
    client = staff()
    an_instance(name="foreign-shop")
    content = client.get(URL).content.decode()
    assert "loja-000" in content
    assert "foreign-shop" not in content
    Membership.objects.all().delete()
    assert "loja-000" not in client.get(URL).content.decode()


def test_the_log_needs_a_permission_and_cannot_be_changed(staff_client: StaffClient) -> None:
    client = staff_client("view_instance")
    assert client.get(URL).status_code == 403
    User.objects.all().delete()
    assert staff_client("view_change", "add_change", "delete_change").get(f"{URL}add/").status_code == 404


def test_the_effort_is_bounded_and_constant(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for added in (5, 40):
        populate(added)
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(URL)
        counts.append(len(queries))
    assert counts[0] >= counts[1]
    monkeypatch.setattr(page, "WINDOW", 3)
    first = Instance.objects.order_by("pk")[0]
    assert f"/instance/{first.pk}/" not in admin_client.get(URL).content.decode()
    assert Change.objects.count() > 50


@pytest.mark.parametrize("transaction", ["x", "9" * 40, "-1"])
def test_an_odd_transaction_selects_all(admin_client: Client, transaction: str) -> None:
    assert admin_client.get(URL, {"transaction": transaction}, follow=True).status_code == 200


def test_the_links_to_older_changes_lead_to_each_change_once(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(3)
    monkeypatch.setattr(page, "WINDOW", 4)
    seen: list[int] = []
    url, pages = f"{URL}?resource__exact=contact", 0
    while url:
        response = admin_client.get(url)
        seen += [row.pk for row in response.context["cl"].result_list]
        link = re.search(r'<a href="([^"]*before=[^"]*)">Older changes', response.content.decode())
        url, pages = URL + html.unescape(link[1]) if link else "", pages + 1
    newest_first = Change.objects.filter(resource="contact").order_by(*page.ORDERING)
    assert seen == list(newest_first.values_list("pk", flat=True))
    assert pages == math.ceil(Change.objects.count() / 4)


@pytest.mark.parametrize("position", ["x", "9" * 40, "-1", "1-2-3", "-"])
def test_an_odd_position_selects_the_newest(admin_client: Client, populate: Populate, position: str) -> None:
    populate(1)
    assert "Ana 000" in admin_client.get(URL, {"before": position}).content.decode()


def test_older_changes_have_a_way_back_to_the_newest(admin_client: Client, populate: Populate) -> None:
    populate(2)
    newest = Change.objects.order_by(*page.ORDERING).values_list(*(name[1:] for name in page.ORDERING)).first()
    assert newest is not None
    content = admin_client.get(URL, {"before": "-".join(map(str, newest))}).content.decode()
    assert re.search(r'<a href="\?">\s*newest changes', content)
    assert "Older changes" not in content


@pytest.mark.postgresql
def test_the_changes_of_an_older_transaction_are_found(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(1)
    Change.objects.update(transaction_id=7)
    monkeypatch.setattr(page, "WINDOW", 1)
    an_instance(name="newer")
    assert "transaction=7" in admin_client.get(URL, {"transaction": "7"}).content.decode().split("result_list")[1]


def test_a_form_that_is_sent_to_the_list_does_no_harm(admin_client: Client, populate: Populate) -> None:
    populate(1)
    assert admin_client.post(URL, {"index": "0"}).status_code < 500
