"""Lists are headed by the name of their rows, say what an empty list means, and have labels for narrow screens."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
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
