"""The webhook routes, each with any number of slashes where one belongs.

Evolution joins URLs blindly, so that slashes double; and it follows a redirect with a GET and counts that as
delivered, so that no way of writing a URL may lead to one.
"""

from django.urls import re_path

from conversations.webhooks import views

# Django takes the first slash of a path before it asks; a second one is still there.
_ROOT = r"^(?:/*)webhooks"

urlpatterns = [
    re_path(_ROOT + r"/+evolution/+(?P<name>[^/]+)(?:/+(?P<suffix>[^/]+))?/*$", views.receive_webhook, name="webhook"),
    re_path(_ROOT + r"(?:/.*)?$", views.unknown_url, name="webhook-unknown"),
]
