"""Django admin pages in which operators search conversations and inspect webhook events."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from conversations.admin import (
    alarm,
    audit,
    cache,
    change,
    contact,
    conversation,
    event,
    ingestion,
    instance,
    message,
    tokens,
    users,
    webhooks,
)

__all__ = [
    "alarm",
    "audit",
    "cache",
    "change",
    "contact",
    "conversation",
    "event",
    "ingestion",
    "instance",
    "message",
    "tokens",
    "users",
    "webhooks",
]

admin.site.site_header = "WhatsAI"
admin.site.site_title = "WhatsAI"
admin.site.index_title = _("Administration")
