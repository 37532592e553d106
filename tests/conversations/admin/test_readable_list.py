"""Lists are headed by the name of their rows, say what an empty list means, and have labels for narrow screens."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import resolve, reverse
from django.utils import translation

from conversations.models import ApiToken, Contact, Conversation
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import admin_url, list_url

LISTS = [
    (model, f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # noqa: SLF001 - Django documents _meta
    for model, page in admin.site._registry.items()  # noqa: SLF001 - no public API
    if hasattr(page, "empty_text")
]


@pytest.mark.parametrize(("model", "name"), LISTS)
def test_a_list_is_headed_by_the_name_of_its_rows(admin_client: Client, model: type, name: str) -> None:
    content = admin_client.get(reverse(name)).content.decode()
    title = str(model._meta.verbose_name_plural)  # type: ignore[attr-defined]  # noqa: SLF001 - Django documents _meta
    assert f"<h1>{title[0].upper()}{title[1:]}</h1>" in content
    assert "conversations/lists.css" in content


def test_fields_of_date_and_time_have_labels(admin_client: Client) -> None:
    content = admin_client.get(admin_url(ApiToken, "add")).content.decode()
    assert content.count('aria-label="Date"') == content.count('aria-label="Time"') == 1


@pytest.mark.parametrize("model", [Contact, Conversation])
def test_an_empty_list_says_what_to_do(admin_client: Client, populate: Populate, model: type) -> None:
    page: Any = admin.site.get_model_admin(model)
    assert str(page.empty_text) in admin_client.get(list_url(model)).content.decode()
    populate(1)
    content = admin_client.get(list_url(model), {"q": "nobody"}).content.decode()
    assert "Nothing matches the search and the filters." in content
    assert '<a href="?">Show everything</a>' in content


def test_cells_have_the_title_of_their_column(admin_client: Client, populate: Populate) -> None:
    populate(1)
    content = admin_client.get(list_url(Conversation)).content.decode()
    assert '<td class="action-checkbox"' in content
    assert 'data-label="Instance" class="field-instance_name' in content


def test_the_box_that_selects_a_row_is_that_of_django() -> None:
    row = Contact(pk=7, name='<b> "Ana"', jid="5511900001234@s.whatsapp.net")
    page: Any = admin.site.get_model_admin(Contact)
    for language in ("en", "pt-br"):
        with translation.override(language):
            assert page.action_checkbox(row) == admin.ModelAdmin.action_checkbox(page, row)


@pytest.mark.parametrize("query", ["", "q=a%26b+%C3%A3%22", "q=&o=-0", "_popup=1&_to_field=id", "q=<b>&p=2"])
@pytest.mark.parametrize("model", [Conversation, User])
def test_links_to_rows_are_those_of_django(populate: Populate, model: Any, query: str) -> None:
    populate(2)
    request = RequestFactory().get(f"{reverse(dict(LISTS)[model])}?{query}")
    request.user = User.objects.create_superuser("ana")
    request.resolver_match = resolve(request.path)
    page: Any = admin.site.get_model_admin(model)
    shown, filters = page.get_changelist_instance(request), page.get_preserved_filters(request)
    assert bool(filters) == bool(query)
    for row in model.objects.all():
        linked = add_preserved_filters({**vars(shown)}, shown.url_for_result(row))
        url = ChangeList.url_for_result(shown, row)
        assert linked == add_preserved_filters({**vars(shown), "preserved_filters": filters}, url)
