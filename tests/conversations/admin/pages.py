"""Returns the URLs of admin pages and the change list of a model, for the admin tests."""

from typing import Any

from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse


def admin_url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:conversations_{model._meta.model_name}_{page}", args=args)  # noqa: SLF001 - Django documents the attribute _meta


def list_url(model: Any) -> str:
    return admin_url(model, "changelist")


def page_url(row: Any) -> str:
    return admin_url(row, "change", row.pk)


def delete_url(row: Any) -> str:
    return admin_url(row, "delete", row.pk)


def change_list(model: Any, user: Any, query: str = "") -> Any:
    """Return the model's ChangeList for a request by `user` with the query string `query`."""
    request = RequestFactory().get(f"/?{query}")
    request.user = user
    return admin.site.get_model_admin(model).get_changelist_instance(request)
