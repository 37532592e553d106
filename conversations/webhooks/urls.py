"""The webhook routes, which accept any number of slashes between path segments and at the end of the path.

Evolution concatenates URLs without normalizing slashes. Webhook URLs are never redirected, because Evolution follows a
redirect with a GET and then counts the event as delivered.
"""

from django.urls import re_path

from conversations.webhooks import views

# Before Django matches routes, it removes only the first slash of the path.
_ROOT = r"^(?:/*)webhooks"

urlpatterns = [
    re_path(_ROOT + r"/+evolution/+(?P<name>[^/]+)(?:/+(?P<suffix>[^/]+))?/*$", views.receive_webhook, name="webhook"),
    re_path(_ROOT + r"(?:/.*)?$", views.unknown_url, name="webhook-unknown"),
]
