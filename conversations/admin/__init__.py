"""Django's admin of the domain: for people who look for one conversation among many, or ask what became of an event."""

from django.contrib import admin

from conversations.admin import contact, conversation, event, ingestion, instance, message

__all__ = ["contact", "conversation", "event", "ingestion", "instance", "message"]

admin.site.site_header = "WhatsAI"
admin.site.site_title = "WhatsAI"
admin.site.index_title = "What the numbers have"
