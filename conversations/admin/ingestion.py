"""The admin's page of the inbox: what waits, what has failed, how far imports are, and what has happened ever since.

It is the page of the model `IngestCount`: who may view that sees it. `?instance=7` shows that instance's.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse

from conversations.ingest import status
from conversations.models import IngestCounter, Instance

PAGE = "conversations_ingestcounter_changelist"


@admin.register(IngestCounter)
class InboxAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """One page."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Counts are counted."""
        return False

    def get_urls(self) -> list[Any]:
        """Serve the page, and none of a model's other pages."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name=PAGE)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show everything."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        instance = _chosen(request)
        pk = instance.pk if instance else ""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Inbox of {instance.name}" if instance else "Inbox",
            "inbox": status.read(instance.pk if instance else None),
            "events_url": f"{reverse('admin:conversations_webhookevent_changelist')}?instance={pk}",
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/conversations/inbox.html", context)


def _chosen(request: HttpRequest) -> Instance | None:
    wanted = request.GET.get("instance", "")
    if not wanted:
        return None
    try:
        return Instance.objects.fetch(int(wanted))
    except (ValueError, OverflowError, Instance.DoesNotExist):
        raise Http404("no such instance") from None
