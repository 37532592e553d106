import json
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.urls import reverse

from cachelayer import cache
from cachelayer.ops import statistics
from conversations.models import ApiToken, Instance, Message, MinuteRecord, ReadingRecord
from conversations.monitoring import audit, history
from tests.conversations.admin.conftest import StaffClient
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)
PAGE, CLEAR, ENTRY = (reverse(f"admin:cachelayer_countertotal_{name}") for name in ("changelist", "clear", "entry"))


def content(client: Client, url: str, **query: str | int) -> str:
    response = client.get(url, query)
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_has_plots_and_the_last_audit(admin_client: Client) -> None:
    text = content(admin_client, PAGE)
    assert "Nothing is remembered yet." in text
    assert "No audit has run yet." in text
    history.remember()
    assert "The plots begin at " in content(admin_client, PAGE)
    MinuteRecord.objects.update(minute=F("minute") - 1)
    history.remember()
    audit.remember("audit", "2 rows of 200 entries differ", 1.0)
    text = content(admin_client, PAGE, period="hour")
    assert 'id="chart-hit-rate"' in text
    assert 'id="chart-saved"' in text
    assert 'id="chart-messages"' not in text
    assert "2 rows of 200 entries differ" in text
    assert "style=" not in text


def test_the_figures_agree_with_the_command_and_the_api(admin_client: Client, admin_user: User, client: Client) -> None:
    statistics.increment({("messages", "local", "hits"): 1003, ("messages", "shared", "misses"): 17})
    statistics.increment({("contacts", "shared", "negatives"): 31, ("contacts", "local", "misses"): 29})
    page = admin_client.get(PAGE)
    token = ApiToken.objects.issue(admin_user)[1]
    api = client.get("/api/v1/cache/stats/", headers={"Authorization": f"Token {token}"}).json()
    output = StringIO()
    call_command("cache_stats", "--json", stdout=output)
    command = json.loads(output.getvalue())
    assert command == api
    shown = {row["name"]: row["tiers"] for row in page.context["namespaces"]}
    for name in ("messages", "contacts"):
        for (_, counts), tier in zip(shown[name], ("local", "shared"), strict=True):
            columns = dict(zip(statistics.COLUMNS, counts, strict=True))
            assert {column: count for column, count in columns.items() if count != ""} == command["namespaces"][name][
                tier
            ]


def test_clearing_asks_first_says_what_it_does_and_is_recorded(admin_client: Client, admin_user: User) -> None:
    cache.set("messages:7", "kept")
    statistics.increment({("messages", "local", "hits"): 90, ("messages", "shared", "misses"): 10})
    question = content(admin_client, CLEAR, namespace="messages")
    assert "Clear the namespace messages?" in question
    assert "No data is lost" in question
    assert "90 of 100 reads" in question
    assert cache.get("messages:7") == "kept"
    assert not LogEntry.objects.exists()
    admin_client.post(CLEAR, {"namespace": "messages"})
    assert cache.get("messages:7") is None
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (admin_user, "namespace: messages")
    assert entry.get_change_message() == "Invalidated all entries of the namespace messages."
    admin_client.post(CLEAR, {"namespace": "nonsense"})
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("field", ["pattern", "namespace", "all", "reset"])
def test_nothing_is_cleared_that_the_database_cannot_record(admin_client: Client, field: str) -> None:
    statistics.increment({("messages", "local", "hits"): 90})
    cache.set("messages:7", "kept")
    for value in ("messages:7\0", "\0"):
        response = admin_client.post(CLEAR, {field: value}, follow=True)
        assert "Nothing was selected." in response.content.decode()
    assert cache.get("messages:7") == "kept"
    assert statistics.by_namespace(statistics.totals())["messages"]["local hits"] >= 90
    assert not LogEntry.objects.exists()


def test_an_entry_is_found_by_model_and_pk_and_looks_at_messages_are_recorded(admin_client: Client) -> None:
    message = a_message(a_chat(an_instance()), text="where is my parcel?")
    query: dict[str, str | int] = {"model": "conversations.message", "pk": message.pk}
    assert "The store has no entry" in content(admin_client, ENTRY, key="conversations:nothing")
    assert "Choose a row" in content(admin_client, ENTRY)
    assert not ReadingRecord.objects.exists()
    Message.objects.fetch(message.pk)
    text = content(admin_client, ENTRY, **query)
    assert "where is my parcel?" in text
    assert "Readers use it." in text
    record = ReadingRecord.objects.get()
    assert (record.page, record.row_pk, record.conversation_pk) == ("cache", message.pk, message.conversation_id)
    cache.set("conversations:digest:7", {"open": 3})
    assert "&quot;open&quot;: 3" in content(admin_client, ENTRY, key="conversations:digest:7")


def test_secrets_and_their_hashes_are_not_shown(admin_client: Client) -> None:
    instance = an_instance()
    Instance.objects.issue_token(instance.pk)
    Instance.objects.fetch(instance.pk)
    text = content(admin_client, ENTRY, key=f"instance:{instance.pk}")
    assert instance.name in text
    assert Instance.objects.get(pk=instance.pk).token_hash not in text
    cache.set("values:x", ["a" * 64, {"secret": "mine"}, b"raw"])
    text = content(admin_client, ENTRY, key="values:x")
    assert all(part not in text for part in ("a" * 64, "mine", "raw"))


def test_staff_learn_nothing_of_a_row_by_its_key(staff_client: StaffClient) -> None:
    message = a_message(a_chat(an_instance()), text="where is my parcel?")
    Message.objects.fetch(message.pk)
    client, key = staff_client("view_countertotal", "change_countertotal"), f"message:{message.pk}"
    assert [client.get(ENTRY, query).status_code for query in ({"key": key}, {"key": "message:0"}, {})] == [403] * 3
    assert [client.post(CLEAR, {"pattern": text}).status_code for text in (key, "message:0")] == [403, 403]
    page = content(client, PAGE)
    assert ENTRY not in page
    assert 'name="pattern"' not in page
    assert f"{CLEAR}?all=1" in page
    client.logout()
    assert client.get(ENTRY).status_code == 302
