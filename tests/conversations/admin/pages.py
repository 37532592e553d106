"""Addresses of the admin's pages, and the list behind one."""

from typing import Any

from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:conversations_{model._meta.model_name}_{page}", args=args)  # noqa: SLF001 - documented API


def list_url(model: Any) -> str:
    return url(model, "changelist")


def page_url(row: Any) -> str:
    return url(row, "change", row.pk)


def delete_url(row: Any) -> str:
    return url(row, "delete", row.pk)


def listing(model: Any, user: Any, query: str = "") -> Any:
    """Return the list that a user asks for."""
    request = RequestFactory().get(f"/?{query}")
    request.user = user
    return admin.site.get_model_admin(model).get_changelist_instance(request)
