"""The page of a user shows memberships, or a link to them if there are many."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from conversations.admin.base import ROWS_PER_PAGE
from conversations.models import Instance, Membership

pytestmark = pytest.mark.django_db


def add_memberships(user: User, count: int) -> None:
    instances = Instance.objects.bulk_create(Instance(name=f"{user.username}-{n}") for n in range(count))
    Membership.objects.bulk_create(Membership(user=user, instance=one) for one in instances)


@pytest.mark.parametrize(("count", "forms"), [(0, 0), (ROWS_PER_PAGE, ROWS_PER_PAGE), (ROWS_PER_PAGE + 1, 0)])
def test_many_memberships_are_on_a_page_of_their_own(admin_client: Client, count: int, forms: int) -> None:
    ana, bia = User.objects.create(username="ana"), User.objects.create(username="bia")
    add_memberships(ana, count)
    add_memberships(bia, 1)
    page = admin_client.get(reverse("admin:auth_user_change", args=[ana.pk])).content.decode()
    assert len(re.findall(r'name="[a-z_]+-\d+-DELETE"', page)) == forms
    link = f"{reverse('admin:conversations_membership_changelist')}?user__id__exact={ana.pk}"
    assert link in page
    rows = admin_client.get(link).context["cl"].queryset
    assert set(rows.values_list("user", flat=True)) == ({ana.pk} if count else set())
