"""The URL routes of the project."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from conversations.api.views import not_found

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("admin/", admin.site.urls),
    path("api/", include("conversations.api.urls")),
    path("api", not_found),
    path("", include("conversations.webhooks.urls")),
]

handler400 = "whatsai.errors.bad_request"
handler403 = "whatsai.errors.permission_denied"
handler404 = "whatsai.errors.not_found"
handler500 = "whatsai.errors.server_error"
