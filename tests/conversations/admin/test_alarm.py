import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from conversations.models import Alarm
from conversations.monitoring.rules import BY_KIND
from tests.conversations.admin.conftest import StaffClient
from tests.conversations.admin.pages import list_url, page_url
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db


def an_alarm(*, ended: bool = False, **fields: object) -> Alarm:
    since = timezone.now() - dt.timedelta(hours=2)
    ended_at = since + dt.timedelta(minutes=5) if ended else None
    return Alarm.objects.create(**{"kind": "disconnected", "since": since, "ended_at": ended_at, **fields})


def test_the_list_tells_states_and_times(admin_client: Client) -> None:
    number = an_instance(name="sales")
    an_alarm(subject=number.pk, name="sales", detail="close")
    an_alarm(kind="probe", ended=True)
    text = admin_client.get(list_url(Alarm)).content.decode()
    assert f"{BY_KIND['disconnected'].title} (closed)" in text
    assert f'<a href="/admin/conversations/instance/{number.pk}/change/">sales</a>' in text
    assert "the whole site" in text
    assert "5\xa0minutes" in text
    assert "2\xa0hours" in text
    for query, shown in (("?state=raised", {"sales"}), ("?state=over", {"the whole site"}), ("?rule=x", set())):
        text = admin_client.get(list_url(Alarm) + query).content.decode()
        assert {mark for mark in ("sales", "the whole site") if f">{mark}<" in text} == shown, query


def test_the_page_of_an_alarm_says_what_to_do(admin_client: Client) -> None:
    text = admin_client.get(page_url(an_alarm(kind="probe", ended=True, announced_at=timezone.now()))).content.decode()
    assert BY_KIND["probe"].advice in text
    assert "+00:00" not in text
    assert admin_client.get(page_url(an_alarm(kind="of an older version"))).status_code == 200


def test_staff_see_the_alarms_of_their_numbers(staff_client: StaffClient) -> None:
    own = an_alarm(subject=an_instance(name="own").pk, name="own")
    client = staff_client("view_alarm")
    foreign = an_alarm(subject=an_instance(name="foreign").pk, name="foreign")
    site = an_alarm(kind="probe")
    text = client.get(list_url(Alarm)).content.decode()
    assert "own" in text
    assert "foreign" not in text
    assert "whole site" not in text
    assert [client.get(page_url(alarm)).status_code for alarm in (own, foreign, site)] == [200, 302, 302]
