"""The URLs of the inbox, below the admin's."""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from conversations.admin.inbox import actions, views


def urls(site: AdminSite) -> list[URLPattern]:
    """Return the URLs for a site, whose login they require."""
    return [
        path("", site.admin_view(views.inbox), name="inbox"),
        path("actions/", site.admin_view(actions.change), name="inbox_actions"),
        path("<int:pk>/", site.admin_view(views.inbox), name="inbox_conversation"),
    ]
