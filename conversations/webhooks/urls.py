"""The webhook routes. They accept any number of slashes between segments and at the end.

Evolution concatenates URLs without normalizing slashes. It follows a redirect with a GET and then counts the event as
delivered, so none of these URLs may be redirected.
"""

from django.urls import re_path

from conversations.webhooks import views

# Django removes the path's first slash before it matches; further slashes remain.
_ROOT = r"^(?:/*)webhooks"

urlpatterns = [
    re_path(_ROOT + r"/+evolution/+(?P<name>[^/]+)(?:/+(?P<suffix>[^/]+))?/*$", views.receive_webhook, name="webhook"),
    re_path(_ROOT + r"(?:/.*)?$", views.unknown_url, name="webhook-unknown"),
]
