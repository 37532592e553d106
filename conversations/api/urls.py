"""The routes under `/api/`: version 1, its description, and JSON for what is not there.

A path answers with and without its last slash: a redirect would turn a POST into a GET.
"""

from typing import Any

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from conversations.api import views

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("instances", views.InstanceViewSet, basename="instance")
router.register("contacts", views.ContactViewSet, basename="contact")
router.register("conversations", views.ConversationViewSet, basename="conversation")
router.register("messages", views.MessageViewSet, basename="message")

# The description holds no data; a wrong token must not keep anyone from reading how tokens are given.
open_to_all: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}

urlpatterns = [
    path("v1/", include(router.urls)),
    re_path(r"^schema/?$", SpectacularAPIView.as_view(**open_to_all), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(**open_to_all, url_name="schema"), name="docs"),
    re_path(r"", views.not_found),
]
