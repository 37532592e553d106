"""Each admin list accepts the query parameters that its filters offer, and no other lookups."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from conversations.models import Conversation, Instance, Message
from logs.testing import capture

pytestmark = pytest.mark.django_db

LOOKUPS = ("exact", "startswith", "contains", "regex", "iregex", "gt", "in", "length__gt")
WITH_LIST = [
    model
    for model in apps.get_models()
    if admin.site.is_registered(model) and model._meta.model_name not in ("ingestcounter", "countertotal")  # noqa: SLF001 - Django documents _meta
]


def list_url(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # noqa: SLF001 - Django documents _meta


def offered_fields(model: Any) -> set[str]:
    return {item for item in admin.site.get_model_admin(model).list_filter if isinstance(item, str)}


def offered_parameters(model: Any) -> set[str]:
    filters = admin.site.get_model_admin(model).list_filter
    return {getattr(item, "parameter_name", "") for item in filters}


@pytest.mark.once
@pytest.mark.parametrize("model", WITH_LIST)
def test_a_list_accepts_no_lookup_on_a_field_without_a_filter(admin_client: Client, model: Any) -> None:
    assert admin_client.get(list_url(model)).status_code == 200
    for field in model._meta.get_fields():  # noqa: SLF001 - Django documents _meta
        for lookup in () if field.name in offered_fields(model) | {"instance"} else ("", *LOOKUPS):
            name = f"{field.name}__{lookup}" if lookup else field.name
            if name not in offered_parameters(model):
                assert admin_client.get(list_url(model), {name: "a"}).status_code == 400, name


@pytest.mark.parametrize("model", WITH_LIST)
def test_a_filter_accepts_only_its_own_lookups(admin_client: Client, model: Any) -> None:
    for field in offered_fields(model):
        for lookup in ("regex", "startswith", "contains", "in"):
            assert admin_client.get(list_url(model), {f"{field}__{lookup}": "a"}).status_code == 400, field


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Conversation, {"last_message_text__regex": "(a|a)*$"}),
        (Conversation, {"instance__token_hash__startswith": "a"}),
        (Instance, {"token_hash__startswith": "a"}),
        (Message, {"conversation__instance__token_hash__startswith": "a"}),
        (Message, {"kind__exact": "\x00"}),
        (User, {"password__startswith": "a"}),
    ],
)
def test_a_viewer_cannot_probe_hidden_columns_or_run_regular_expressions(
    admin_client: Client, model: Any, query: dict[str, str]
) -> None:
    assert admin_client.get(list_url(model), query).status_code == 400


PARAMETERS = ("_to_field", "_popup", "_changelist_filters", "p", "o", "q", "e", "all")
NONSENSE = ("\x00", "token_hash", "%00=1", "-1", "1" * 40, "x" * 5000)


@pytest.mark.once
@pytest.mark.parametrize("model", [Instance, Message, User])
def test_nonsense_in_a_parameter_of_django_is_no_error(admin_client: Client, model: Any) -> None:
    with capture() as logged:
        for page in ("", "add/", "1/change/", "1/delete/"):
            for name in PARAMETERS:
                for value in NONSENSE:
                    status = admin_client.get(f"{list_url(model)}{page}", {name: value}).status_code
                    assert status < 500, (page, name, value)
                    assert status != 200 or name != "_to_field", (page, value)
    assert logged.matching(level="ERROR") == []


@pytest.mark.once
@pytest.mark.parametrize("model", WITH_LIST)
def test_an_action_on_something_that_is_no_id_is_refused(admin_client: Client, model: Any) -> None:
    for pk in ("\x00", "a", "", "1" * 19, "1" * 5000, "\u0661"):
        form = {"action": "delete_selected", "_selected_action": pk}
        assert admin_client.post(list_url(model), form).status_code in (400, 405), pk[:20]


def test_no_row_has_a_page_on_the_site(admin_client: Client) -> None:
    """Django's view looks the row up first; PostgreSQL raises an error for the key of a session with NUL."""
    pk = ContentType.objects.get_for_model(Session).pk
    assert [admin_client.get(f"/admin/r/{pk}/{key}/").status_code for key in ("x", "%00")] == [404, 404]


def test_the_filters_of_users_work(admin_client: Client) -> None:
    for query in ("is_staff__exact=1", "groups__id__exact=1", "groups__isnull=True"):
        assert admin_client.get(f"{list_url(User)}?{query}").status_code == 200


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_the_database_cannot_hold_is_a_wrong_filter(admin_client: Client, time: str) -> None:
    assert admin_client.get(list_url(Message), {"timestamp__gte": time}).status_code in (200, 302)
