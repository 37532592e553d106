"""The admin site: it limits guesses of passwords, and each model admin accepts only the filters and ids that it offers.

Django's own admin accepts any lookup on a column of the list's model. A user who may only view a list could guess
secrets of hidden columns with `?token_hash__startswith=…`, and stop the server with a slow `?text__regex=…`.
"""

import math
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import include, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from whatsai import known_browsers, login_throttle, model_texts
from whatsai.error_pages import error_page

# The endings of the query parameters that Django's own filters of a field use.
FILTER_SUFFIXES = ("", "__exact", "__isnull", "__gte", "__lt", "__id__exact")
AN_ID = re.compile(r"[0-9]{1,18}")  # a primary key that fits into 64 bits


# The pages that the header of every page links to, by the object name of their entry in the list of all pages.
MAIN_PAGES = ("Inbox", "Contact", "Instance", "IngestCounter", "Alarm", "CounterTotal")


class OfferedLookupsMixin:
    """Limits the query parameters of an admin list to those of its filters.

    An admin class can set `extra_lookups` to the names of other query parameters that its list accepts.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the list offers this lookup; PostgreSQL rejects values with a NUL character."""
        return "\x00" not in value and lookup in self._offered_lookups(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list or perform an action; answer 400 if the action names an id that the database cannot hold."""
        if not all(map(AN_ID.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise SuspiciousOperation("an action on something that is no id")
        return super().changelist_view(request, extra_context)  # type: ignore[misc]  # a method of ModelAdmin

    def _offered_lookups(self, request: HttpRequest) -> Iterator[str]:
        yield from getattr(self, "extra_lookups", ())
        for item in self.get_list_filter(request):  # type: ignore[attr-defined]  # a method of ModelAdmin
            if hasattr(item, "parameter_name"):
                yield item.parameter_name
            else:
                field = item[0] if isinstance(item, list | tuple) else item
                yield from (f"{field}{suffix}" for suffix in FILTER_SUFFIXES)


class AdminSite(admin.AdminSite):
    """The site that `admin.site` and `admin.register` use."""

    index_template = "admin/home/home.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register models with an admin class that accepts only the lookups it offers."""
        base = admin_class or admin.ModelAdmin
        limited = type(
            base.__name__, (OfferedLookupsMixin, base), {"__module__": base.__module__, "__doc__": base.__doc__}
        )
        super().register(model_or_iterable, limited, **options)

    def get_urls(self) -> list[Any]:
        """Return the URLs of the inbox and of Django's admin, but not of rows on the site: no model has them."""
        from conversations.admin.inbox.urls import urls  # noqa: PLC0415 - models are not loaded when this module is

        others = [one for one in super().get_urls() if getattr(one, "name", "") != "view_on_site"]
        return [path("inbox/", include(urls(self))), *others]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the home page, or the part of it that changes."""
        from conversations.admin.home import views  # noqa: PLC0415 - models are not loaded when this module is

        return views.live_part(request) or super().index(request, {**views.context(request), **(extra_context or {})})

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - Django's hook
        """Answer 404: no form here completes a name, and this page would search messages without a record of it.

        Raises:
            Http404: always.
        """
        raise Http404

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page shows, with those of the main pages that the user may see."""
        context = super().each_context(request)
        entries = {entry["object_name"]: entry for app in context["available_apps"] for entry in app["models"]}
        return {**context, "main_pages": [entries[name] for name in MAIN_PAGES if name in entries]}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the models by app: first those of the conversations, which begin with the inbox."""
        apps = sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "conversations")
        for app in apps:
            if app["app_label"] == "conversations" and any(m["object_name"] == "Conversation" for m in app["models"]):
                inbox = {"name": _("Inbox"), "object_name": "Inbox", "admin_url": reverse("admin:inbox")}
                app["models"].insert(0, {**inbox, "add_url": None, "view_only": True, "perms": {"view": True}})
        return apps

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the login form or log in; answer 429 after too many failed logins, without checking the password."""
        name = request.POST.get("username", "")
        if request.method == "POST":
            seconds = login_throttle.seconds_to_wait(request, name)
            if seconds:
                return _too_many_failures(seconds)
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            known_browsers.remember(response, login_throttle.account_of(name))
        return response

    def password_change(  # type: ignore[override] # Django's stubs leave out the redirect after a change
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form for a new password or change it; answer 429 after too many failures in this session."""
        if request.method == "POST":
            seconds = login_throttle.seconds_to_wait_for_change(request)
            if seconds:
                return _too_many_failures(seconds)
        response = super().password_change(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")  # with its errors, if it is shown again
        if request.method == "POST" and form is not None and "old_password" in form.errors:
            login_throttle.count_failed_change(request)
        return response


def _too_many_failures(seconds: float) -> HttpResponse:
    minutes = math.ceil(seconds / 60)
    advice = ngettext("Try again in %(count)d minute.", "Try again in %(count)d minutes.", minutes)
    headers = {"Retry-After": str(math.ceil(seconds))}
    return error_page(HTTPStatus.TOO_MANY_REQUESTS, advice=advice % {"count": minutes}, headers=headers)


class AdminConfig(DjangoAdminConfig):
    """Makes `AdminSite` the default admin site."""

    default_site = "whatsai.admin_site.AdminSite"

    def ready(self) -> None:
        """Translate the texts of the models, before the forms and pages of the admin copy them."""
        model_texts.translate()
        super().ready()
