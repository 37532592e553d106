"""Routes under `/api/`: version 1 of the API, the OpenAPI schema, a documentation page, and a JSON 404 for other paths.

The trailing slash of a path is optional, because a redirect to the path with a slash would turn a POST into a GET.
"""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from conversations.api import access_views
from conversations.api.cache_views import CacheStatisticsView
from conversations.api.change_views import ChangesView, EventsView
from conversations.api.contact_views import ContactViewSet
from conversations.api.conversation_views import ConversationViewSet
from conversations.api.counter_views import CountersView
from conversations.api.instance_views import InstanceViewSet
from conversations.api.media import MessageMediaView, MessageThumbnailView
from conversations.api.message_views import MessageViewSet
from conversations.api.schema_view import PUBLIC, SchemaView
from conversations.api.search_views import ContactSearchView, ConversationSearchView, MessageSearchView
from conversations.api.ticket_authentication import EventTicketView, MediaTicketView
from conversations.api.views import not_found
from conversations.api.webhook_views import WebhookViewSet

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("instances", InstanceViewSet, basename="instance")
router.register("contacts", ContactViewSet, basename="contact")
router.register("conversations", ConversationViewSet, basename="conversation")
router.register("messages", MessageViewSet, basename="message")
router.register("memberships", access_views.MembershipViewSet, basename="membership")
router.register("tokens", access_views.TokenViewSet, basename="token")
router.register("webhooks", WebhookViewSet, basename="webhook")

media_urlpatterns = [
    re_path(r"^messages/(?P<pk>[0-9]{1,19})/media/?$", MessageMediaView.as_view(), name="message-media"),
    re_path(r"^messages/(?P<pk>[0-9]{1,19})/thumbnail/?$", MessageThumbnailView.as_view(), name="message-thumbnail"),
    re_path(r"^media-ticket/?$", MediaTicketView.as_view(), name="media-ticket"),
]

other_urlpatterns = [
    re_path(r"^conversations/counters/?$", CountersView.as_view(), name="conversation-counters"),
    re_path(r"^search/contacts/?$", ContactSearchView.as_view(), name="search-contacts"),
    re_path(r"^search/conversations/?$", ConversationSearchView.as_view(), name="search-conversations"),
    re_path(r"^search/messages/?$", MessageSearchView.as_view(), name="search-messages"),
    re_path(r"^changes/?$", ChangesView.as_view(), name="changes"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
    re_path(r"^event-ticket/?$", EventTicketView.as_view(), name="event-ticket"),
    re_path(r"^cache/stats/?$", CacheStatisticsView.as_view(), name="cache-stats"),
]

urlpatterns = [
    path("v1/", include(other_urlpatterns)),
    path("v1/", include(media_urlpatterns)),
    path("v1/", include(router.urls)),
    re_path(r"^v1/me/?$", access_views.MeView.as_view(), name="me"),
    re_path(r"^schema/?$", SchemaView.as_view(**PUBLIC), name="schema"),
    re_path(
        r"^docs/?$",
        SpectacularSwaggerSplitView.as_view(**PUBLIC, url_name="schema", template_name="api/docs.html"),
        name="docs",
    ),
    re_path(r"", not_found),
]
