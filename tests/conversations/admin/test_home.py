import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cachelayer.ops import statistics
from conversations.admin.home.charts import LEAST_PARTS, format_count, format_seconds, format_share
from conversations.admin.home.needs import REMEDIES
from conversations.ingest import metrics
from conversations.models import Alarm, Contact, Instance, MinuteRecord, WebhookEvent
from conversations.monitoring import audit, history
from conversations.monitoring.rules import BY_KIND
from tests.conversations.admin.conftest import StaffClient
from tests.conversations.admin.pages import list_url
from tests.conversations.remembered import remember_minutes_ago
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
URL = "/admin/"


def page(client: Client, query: str = "?part=live") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200
    return response.content.decode()


def test_an_empty_site_says_what_to_do(admin_client: Client) -> None:
    text = page(admin_client, "")
    assert "manage.py webhook_token" in text
    assert "No alarm in the last 24 hours." in text
    assert "Nothing is remembered yet." in text
    assert "All pages" in text


def test_every_kind_of_need_has_a_remedy() -> None:
    assert REMEDIES.keys() == BY_KIND.keys()


def test_needs_are_first_with_what_to_do_and_where(admin_client: Client) -> None:
    dropped = an_instance(name="sales", state="close", owner_jid="5511@s.whatsapp.net")
    an_instance(name="support", state="open")
    new = an_instance(name="new", state="connecting")
    audit.remember("audit", "3 rows of 200 entries differ", 1.0)
    text = page(admin_client)
    assert text.index('id="need-disconnected"') < text.index('id="need-pairing"') < text.index('id="need-audit"')
    for number in (dropped, new):
        assert f'href="/admin/conversations/instance/{number.pk}/change/"' in text
    assert BY_KIND["disconnected"].advice in text
    assert '<span class="tile-value">1 / 3</span>' in text
    assert "3 rows of 200 entries differ" in text
    Instance.objects.filter(pk=dropped.pk).update(state="open")
    assert 'id="need-disconnected"' not in page(admin_client)


def test_alarms_are_shown_for_a_day(admin_client: Client) -> None:
    now, hour = timezone.now(), dt.timedelta(hours=1)
    for name, ended, announced in (
        ("old", now - 25 * hour, now), ("over", now - hour, now), ("now", None, now), ("short", None, None),
    ):  # fmt: skip
        Alarm.objects.create(kind="disconnected", name=name, subject=len(name), ended_at=ended, announced_at=announced)
    text = page(admin_client)
    assert text.index("<bdi>now</bdi>") < text.index("<bdi>over</bdi>")
    assert "<bdi>old</bdi>" not in text
    assert "<bdi>short</bdi>" not in text


def test_staff_see_their_own_numbers_and_no_figures_of_the_site(staff_client: StaffClient) -> None:
    own = an_instance(name="own", state="close")
    client = staff_client("view_instance", "view_alarm")
    foreign = an_instance(name="foreign", state="close")
    for number in (own, foreign):
        Alarm.objects.create(kind="disconnected", name=number.name, subject=number.pk, announced_at=timezone.now())
    Alarm.objects.create(kind="probe", announced_at=timezone.now())
    text = page(client, "")
    assert "<bdi>own</bdi>:" in text
    assert f"/admin/conversations/instance/{own.pk}/change/" in text
    assert "foreign" not in text
    assert "The whole site" not in text
    assert "home-figures" not in text


def test_a_link_needs_the_permission_for_its_page(staff_client: StaffClient) -> None:
    an_instance(name="own", state="close")
    text = page(staff_client("view_contact"))
    assert "need-disconnected" in text
    assert "/change/" not in text


def test_the_figures_are_what_was_counted_in_the_period(admin_client: Client) -> None:
    number = an_instance()
    metrics.add_to_totals({(number.pk, "messages"): 1100, (number.pk, "failed"): 4, (number.pk, "refused"): 5})
    statistics.increment({("messages", "local", "hits"): 900, ("messages", "shared", "misses"): 150})
    remember_minutes_ago(10, messages=100, failed=1, refused=2, cache_hits=300, cache_misses=100)
    metrics.add_to_totals({(number.pk, "messages"): 1000})
    text = page(admin_client)
    assert "1,100 in total" in text
    assert "1 failed, 2 refused, 0 errors" in text
    assert ">75.0 %<" in text
    assert "300 in total" in text
    assert "<td" in text
    assert "style=" not in text
    assert "1,100 in total" in page(admin_client, "?part=live&period=day")
    assert "1,100 in total" in page(admin_client, "?part=live&period=nonsense")


def test_one_remembered_minute_says_when_the_plots_begin(admin_client: Client) -> None:
    history.remember()
    minute = MinuteRecord.objects.get().minute
    text = page(admin_client)
    assert "The plots begin at " in text
    assert 'class="plot"' not in text
    MinuteRecord.objects.update(minute=minute - 5)  # nothing has been remembered since
    text = page(admin_client)
    assert "Nothing is remembered yet." in text


def test_plots_that_begin_within_the_period_say_since_when(admin_client: Client) -> None:
    remember_minutes_ago(10)
    assert "Figures are known since " in page(admin_client)
    assert "Figures are known since " in page(admin_client, "?part=live&period=day")
    remember_minutes_ago(60)
    assert "Figures are known since " not in page(admin_client)


def test_plots_begin_with_the_first_figures(admin_client: Client) -> None:
    def parts() -> int:
        return page(admin_client).count('<tr><th scope="row">')

    assert parts() == 0
    remember_minutes_ago(1)
    assert parts() == LEAST_PARTS
    remember_minutes_ago(30)
    assert parts() == 30
    remember_minutes_ago(60)
    assert parts() == 60


def test_home_is_the_current_page_of_the_menu(admin_client: Client) -> None:
    current = 'aria-current="page">'
    assert f'href="/admin/" {current}Home<' in page(admin_client, "")
    contacts = admin_client.get(list_url(Contact)).content.decode()
    assert f'href="/admin/" {current}' not in contacts
    assert f"{current}Contacts<" in contacts


def test_the_number_of_queries_does_not_grow(admin_client: Client, admin_user: User) -> None:  # noqa: ARG001 - logs in
    def queries() -> int:
        page(admin_client, "")
        with CaptureQueriesContext(connection) as found:
            page(admin_client, "")
        return len(found)

    def fill(count: int) -> None:
        first = Instance.objects.count()
        for number in range(first, first + count):
            one = an_instance(name=f"n{number}", state="close")
            WebhookEvent.objects.create(instance=one, name="x", payload={}, digest=str(number), outcome="failed")
            Alarm.objects.create(kind="disconnected", subject=one.pk, name=one.name, announced_at=timezone.now())

    fill(2)
    remember_minutes_ago(3)
    before = queries()
    fill(40)
    remember_minutes_ago(7)
    assert queries() == before
    text = page(admin_client)
    assert "And 32 more numbers" in text
    assert text.count("need-row") == 10


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0"), (2.25, "2.2"), (7.0, "7"), (123.4, "123"), (12345, "12,345")]
)
def test_counts_are_short(value: Any, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0042, "4 ms"), (1.25, "1.2 s"), (12.0, "12 s"), (119.0, "119 s"), (300.0, "5 min")],
)
def test_times_have_a_unit_that_suits_them(value: Any, text: str) -> None:
    assert format_seconds(value) == text


def test_a_share_is_not_rounded_up_to_all() -> None:
    assert [format_share(share) for share in (None, 0.99999, 1.0)] == ["-", "99.9 %", "100.0 %"]
