"""The list of reading records and the audit trail: the filters find what one user did, with an index for each."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from conversations.admin import base
from conversations.models import Instance, ReadingRecord
from tests.conversations.admin.pages import change_list, list_url
from tests.conversations.rows import NOON, an_instance

pytestmark = pytest.mark.django_db
URL = list_url(ReadingRecord)


def a_record(user: User, instance: Instance, jid: str, minutes: int = 0) -> None:
    ReadingRecord.objects.create(
        user=user, username=user.username, instance=instance, conversation_jid=f"{jid}@g.us",
        read_at=NOON + dt.timedelta(minutes=minutes),
    )  # fmt: skip


def test_the_filters_select_by_staff_member_instance_and_time(admin_client: Client, admin_user: User) -> None:
    ana, shop, depot = User.objects.create_user("ana", is_staff=True), an_instance(), an_instance()
    a_record(admin_user, shop, "111111")
    a_record(ana, shop, "222222", minutes=5)
    a_record(ana, depot, "333333", minutes=9)
    later = (NOON + dt.timedelta(minutes=3)).isoformat()
    cases: tuple[tuple[dict[str, Any], set[str]], ...] = (
        ({}, {"111111", "222222", "333333"}),
        ({"who": ana.pk}, {"222222", "333333"}),
        ({"instance": shop.pk}, {"111111", "222222"}),
        ({"who": ana.pk, "instance": shop.pk}, {"222222"}),
        ({"read_at__gte": later}, {"222222", "333333"}),
        ({"read_at__lt": later, "who": ana.pk}, set()),
        ({"who": "x"}, set()),
    )
    for query, found in cases:
        response = admin_client.get(URL, query)
        assert response.status_code == 200, query
        content = response.content.decode()
        assert {jid for jid in ("111111", "222222", "333333") if jid in content} == found, query


def test_of_one_user_the_records_of_an_instance_are_looked_for_in_the_first_rows(
    admin_client: Client, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_CHECKED_ROWS", 2)
    shop, depot = an_instance(), an_instance()
    a_record(admin_user, shop, "111111")
    for minute in (1, 2):
        a_record(admin_user, depot, "222222", minute)
    assert "111111" in admin_client.get(URL, {"instance": shop.pk}).content.decode()
    content = admin_client.get(URL, {"instance": shop.pk, "who": admin_user.pk}).content.decode()
    assert "111111" not in content
    assert "Only the first 2 rows were looked through." in content


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("model", "query", "index"),
    [
        (ReadingRecord, "who={user}", "reading_by_user"),
        (ReadingRecord, "who={user}&read_at__gte=2026-01-01T00:00:00%2B00:00", "reading_by_user"),
        (ReadingRecord, "instance={instance}", "reading_by_instance"),
        (ReadingRecord, "instance={instance}&read_at__gte=2026-01-01T00:00:00%2B00:00", "reading_by_instance"),
        (LogEntry, "who={user}", "audit_by_user"),
    ],
)
def test_each_filter_has_an_index_in_the_order_of_the_list(
    admin_user: User, model: Any, query: str, index: str
) -> None:
    found = change_list(model, admin_user, query.format(user=admin_user.pk, instance=an_instance().pk))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
    plan = found.queryset[:50].explain()
    assert f"using {index} on" in plan
    assert "Sort" not in plan
