from typing import Any

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse

from conversations.admin.row_urls import row_urls

NAMES = ("admin:inbox_conversation", "admin:conversations_message_change", "admin:auth_user_delete", "message-media")


@pytest.mark.parametrize("name", NAMES)
def test_urls_are_those_that_django_reverses(name: str) -> None:
    url_of = row_urls(name)
    assert [url_of(pk) for pk in (1, 77, 2**62)] == [reverse(name, args=[pk]) for pk in (1, 77, 2**62)]


def test_a_name_without_a_row_is_refused() -> None:
    with pytest.raises(NoReverseMatch):
        row_urls("admin:inbox")


@pytest.mark.parametrize("model", admin.site._registry)  # noqa: SLF001 - no public API
def test_primary_keys_are_numbers(model: Any) -> None:
    assert model._meta.pk.get_internal_type() in {"AutoField", "BigAutoField"}  # noqa: SLF001 - Django documents _meta
