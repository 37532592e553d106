import re
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.admin import base
from conversations.admin.base import MAX_ACTION_ROWS
from conversations.admin.paginator import BoundedPaginator
from conversations.admin.search import SearchAdmin
from conversations.models import Contact, Conversation, Instance, Message, WebhookEvent
from tests.conversations.admin.conftest import MODELS, Populate, StaffClient
from tests.conversations.admin.pages import admin_url, change_list, delete_url, list_url, page_url

# model → query strings that the model's change list must support
QUERIES = {
    Instance: ["q=loja", "state__exact=open", "is_removed__exact=0", "o=-1", "q=nobody"],
    Contact: ["q=Ana", "q=%2B55+11+99900-0001", "instance=1", "presence__exact=composing", "o=-1"],
    Conversation: [
        "q=Ana", "q=%2B55+11+99900-0001", "instance=1",  "unread=1", "unread=0", "is_archived__exact=1",
        "is_pinned__exact=0", "kind__exact=group", "is_deleted__exact=1", "o=5", "o=1.-2",
    ],
    Message: [
        "q=Bom", "q=3EB01", "instance=1", "kind__exact=image", "from_me__exact=1",
        "status__exact=3", "status__exact=2",
        "timestamp__gte=2026-03-02+00%3A00%3A00%2B00%3A00", "conversation__id__exact=1", "is_history__exact=0", "o=-1",
    ],
    WebhookEvent: ["q=messages", "instance=1", "outcome__exact=failed", "event=messages.upsert", "o=1"],
}  # fmt: skip
MODELS_AND_QUERIES = [
    (model, query)
    for model, queries in QUERIES.items()
    for query in ("", "p=0", "p=999", "all=", "_facets=True", *queries)
]


@pytest.mark.parametrize(("model", "query"), MODELS_AND_QUERIES)
def test_every_list_searches_filters_and_pages_without_counting_the_table(
    admin_client: Client, populate: Populate, model: Any, query: str
) -> None:
    populate(3)
    with CaptureQueriesContext(connection) as queries:
        response = admin_client.get(f"{list_url(model)}?{query}")
    assert response.status_code == 200
    # A search counts the rows that it has found already with `OVER ()`.
    counts = [entry["sql"] for entry in queries if "COUNT(" in entry["sql"] and "OVER ()" not in entry["sql"]]
    assert len(counts) == 1
    assert "LIMIT" in counts[0]
    assert not any("DISTINCT" in entry["sql"] for entry in queries)


@pytest.mark.parametrize("model", MODELS)
def test_a_list_shows_its_rows(admin_client: Client, populate: Populate, model: Any) -> None:
    populate(3)
    content = admin_client.get(list_url(model)).content.decode()
    for row in model.objects.all():
        assert page_url(row) in content


@pytest.mark.parametrize("model", MODELS)
def test_a_list_of_fifty_takes_as_many_queries_as_one_of_five(
    admin_client: Client, populate: Populate, model: Any
) -> None:
    query_counts = []
    for added in (5, 45):
        populate(added)
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(list_url(model))
        query_counts.append(len(queries))
    assert query_counts[0] == query_counts[1]


@pytest.mark.parametrize("model", MODELS)
def test_a_list_does_not_read_payloads_images_and_token_hashes(
    admin_client: Client, populate: Populate, model: Any
) -> None:
    populate(1)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(list_url(model))
    sql = " ".join(query["sql"] for query in queries)
    assert not re.search(r'"(payload|qr_code|previous_token_hash|media|details)"', sql)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("query", ["", "o=1", "o=-1", "o=2.3", "o=5", "o=-5"])
def test_every_order_of_a_list_uses_an_index(admin_user: Any, populate: Populate, model: Any, query: str) -> None:
    populate(3)
    rows = change_list(model, admin_user, query).queryset
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # with few rows, PostgreSQL prefers to sort
            cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")
        plan = rows[:50].explain()
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("model", MODELS)
def test_the_order_of_a_list_can_be_reversed(admin_user: Any, populate: Populate, model: Any) -> None:
    populate(3)
    default = change_list(model, admin_user)
    column = default.list_display.index(default.sortable_by[0])
    default_order, *orders = [
        tuple(row.pk for row in change_list(model, admin_user, query).queryset)
        for query in ("", f"o={column}", f"o=-{column}")
    ]
    assert sorted(orders) == sorted([default_order, default_order[::-1]])


def test_a_list_longer_than_the_limit_shows_more_than_and_ends_there(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "max_rows", 60)
    populate(70)
    content = admin_client.get(f"{list_url(Message)}?p=9&q=Bom").content.decode()
    assert "more than 60 messages" in content
    assert "60 results" not in content
    assert content.count('class="field-timestamp') == 10


@pytest.mark.parametrize("model", MODELS)
def test_every_row_has_a_page(admin_client: Client, populate: Populate, model: Any) -> None:
    populate(1)
    assert admin_client.get(page_url(model.objects.get())).status_code == 200


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("pk", ["0", "x", "-1", "9" * 40, "1_27"])
def test_an_unknown_id_redirects_with_a_message(admin_client: Client, model: Any, pk: str) -> None:
    response = admin_client.get(admin_url(model, "change", pk), follow=True)
    assert response.redirect_chain
    assert "exist" in response.content.decode()


@pytest.mark.parametrize("model", [Instance, Contact, Message, WebhookEvent])
def test_rows_from_whatsapp_cannot_be_changed(admin_client: Client, populate: Populate, model: Any) -> None:
    populate(1)
    before = model.objects.values().get()
    data = {"text": "forged", "name": "forged", "server_url": "https://other.example.com", "reason": "forged"}
    assert admin_client.post(page_url(model.objects.get()), data).status_code == 403
    assert model.objects.values().get() == before


@pytest.mark.parametrize("model", [Contact, Conversation, Message, WebhookEvent])
def test_only_instances_can_be_added(admin_client: Client, db: None, model: Any) -> None:  # noqa: ARG001
    assert admin_client.get(admin_url(model, "add")).status_code == 403


@pytest.mark.parametrize("model", [Contact, Message])
def test_contacts_and_messages_cannot_be_deleted(admin_client: Client, populate: Populate, model: Any) -> None:
    populate(1)
    row = model.objects.get()
    assert admin_client.post(delete_url(row), {"post": "yes"}).status_code == 403
    assert model.objects.exists()


@pytest.mark.parametrize("model", MODELS)
def test_staff_without_permissions_are_refused(staff_client: StaffClient, populate: Populate, model: Any) -> None:
    populate(1)
    client = staff_client()
    assert client.get(list_url(model)).status_code == 403
    assert client.get(page_url(model.objects.get())).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_anonymous_users_are_redirected_to_the_login(client: Client, db: None, model: Any) -> None:  # noqa: ARG001
    assert client.get(list_url(model)).url.startswith(reverse("admin:login"))  # type: ignore[attr-defined]


def test_an_action_on_too_many_rows_is_refused(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.admin.base.MAX_ACTION_ROWS", 2)
    populate(3)
    pk = Conversation.objects.values_list("pk", flat=True)[0]
    data = {"action": "mark_read", "select_across": "1", "index": "0", "_selected_action": [str(pk)]}
    response = admin_client.post(list_url(Conversation), data, follow=True)
    assert "to narrow the list" in response.content.decode()
    assert Conversation.objects.filter(unread_count__gt=0).count() == 2
    monkeypatch.setattr("conversations.admin.base.MAX_ACTION_ROWS", MAX_ACTION_ROWS)
    admin_client.post(list_url(Conversation), data)
    assert not Conversation.objects.filter(unread_count__gt=0).exists()


def test_the_site_is_called_whatsai(admin_client: Client) -> None:
    content = admin_client.get(reverse("admin:index")).content.decode()
    assert "WhatsAI" in content
    assert "Django administration" not in content


SEARCHED = [model for model, page in admin.site._registry.items() if page.search_fields]  # noqa: SLF001 - no public API


@pytest.mark.parametrize("model", SEARCHED)
def test_a_search_with_hundreds_of_words_is_refused(admin_client: Client, populate: Populate, model: Any) -> None:
    populate(1)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # noqa: SLF001 - documented
    uses_index = isinstance(admin.site.get_model_admin(model), SearchAdmin)
    for count in (8, 9, 400):
        with CaptureQueriesContext(connection) as queries:
            response = admin_client.get(url, {"q": " ".join(["m"] * count)})
        assert response.status_code == 200
        is_refused = b"A search may have at most 8 words." in response.content
        assert is_refused is (count > 8 and not uses_index)
        assert max(entry["sql"].count("LIKE") for entry in queries) <= 8 * 4


# --- what no index finds ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("query", "shown"), [("", [4, 3]), ("&o=0", [0, 1]), ("&instance={}", [0])])
def test_a_filter_without_an_index_looks_through_the_first_rows(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch, query: str, shown: list[int]
) -> None:
    monkeypatch.setattr(base, "MAX_CHECKED_ROWS", 2)
    populate(5)
    query = query.format(Instance.objects.get(name="loja-000").pk)
    content = admin_client.get(f"{list_url(Message)}?status__exact=3{query}").content.decode()
    assert re.findall(r"Bom dia 00(\d)", content) == [str(number) for number in shown]
    assert ("Only the first 2 rows" in content) == ("instance" not in query)


def test_a_search_without_an_index_looks_through_the_first_rows(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(5)
    monkeypatch.setattr(base, "MAX_CHECKED_ROWS", 2)
    for query in ("q=messages", "event=messages.upsert", "q=messages&event=messages.upsert&instance="):
        found = admin_client.get(f"{list_url(WebhookEvent)}?{query}").context["cl"].result_list
        assert [row.digest[-1] for row in WebhookEvent.objects.filter(pk__in=[row.pk for row in found])] == ["3", "4"]


def test_all_rows_are_looked_through_if_the_list_is_short(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(2)
    monkeypatch.setattr(base, "MAX_CHECKED_ROWS", 2)
    content = admin_client.get(f"{list_url(Message)}?status__exact=3").content.decode()
    assert content.count("Bom dia") == 2
    assert "Only the first" not in content


def test_a_search_with_an_index_finds_every_row(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(4)
    monkeypatch.setattr(base, "MAX_CHECKED_ROWS", 2)
    content = admin_client.get(f"{list_url(Message)}?q=Bom&status__exact=3").content.decode()
    assert re.findall(r"Bom dia 00(\d)", content) == ["3", "2", "1", "0"]


def test_every_parameter_without_an_index_is_offered(rf: RequestFactory, admin_user: Any) -> None:
    request = rf.get("/")
    request.user = admin_user
    for model_admin in admin.site._registry.values():  # noqa: SLF001 - Django has no public name for the registered models
        names = set(getattr(model_admin, "checked", ())) - {"q"}
        assert all(model_admin.lookup_allowed(name, "1", request) for name in names)
