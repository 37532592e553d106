"""The Ingestion page of the admin: queue of stored webhook events, failed events, running imports, and counters.

The page replaces the admin list of the model `IngestCounter`, so users need the permission to view that model. It is
about all instances that the user may see; the query parameter `instance`, as in `?instance=7`, restricts it to one.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from conversations.admin.access import access_of, permitted
from conversations.admin.inbox.rows import instance_name
from conversations.ingest import status
from conversations.ingest.counter_meanings import MEANINGS
from conversations.models import IngestCounter, Instance

URL_NAME = "conversations_ingestcounter_changelist"
MAX_NUMBERS = 500  # whose pages are linked


@admin.register(IngestCounter)
class IngestionAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Serves the Ingestion page, which shows the progress and the failures of webhook processing."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: users cannot add counters, which only workers and web processes write."""
        return False

    def get_urls(self) -> list[Any]:
        """Return the URL of the Ingestion page; counters cannot be added, changed or deleted."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name=URL_NAME)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the ingestion status of one instance, or of all that the user may see.

        Raises:
            Http404: the `instance` parameter is not the id of an instance.
            PermissionDenied: the user lacks the permission to view counters.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        instance = _selected_instance(request)
        current = status.read([instance.pk] if instance else access_of(request).instances())
        context = {
            **self.admin_site.each_context(request),
            "title": _("Ingestion of %(name)s") % {"name": instance.name} if instance else _("Ingestion"),
            "status": current,
            "counters": [(name, MEANINGS.get(name, ""), total) for name, total in current.counts.items()],
            "numbers": [] if instance else _numbers(request),
            "events_url": _events_url(instance),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/conversations/ingestion.html", context)


def _events_url(instance: Instance | None) -> str:
    return f"{reverse('admin:conversations_webhookevent_changelist')}?instance={instance.pk if instance else ''}"


def _numbers(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the name of each of the first numbers that the user may see, and the URL of its own page."""
    rows = permitted(request, Instance.objects.only("name", "profile_name"), field="pk").order_by("name", "id")
    url = reverse(f"admin:{URL_NAME}")
    return [(instance_name(row), f"{url}?instance={row.pk}") for row in rows[:MAX_NUMBERS]]


def _selected_instance(request: HttpRequest) -> Instance | None:
    pk = request.GET.get("instance", "")
    if not pk:
        return None
    try:
        instance = Instance.objects.fetch(int(pk))
    except (ValueError, OverflowError, Instance.DoesNotExist):
        instance = None
    if instance is None or not access_of(request).allows(instance.pk):
        raise Http404(_("There is no such instance."))
    return instance
