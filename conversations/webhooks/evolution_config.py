"""Generates Evolution's settings for a webhook of one instance, or for the global webhook of an Evolution server."""

from typing import Any
from urllib.parse import quote

from django.conf import settings

# The events to subscribe to. PRESENCE_UPDATE and CHATS_UPDATE are left out, because they are the most frequent events
# and WhatsAI needs nothing from them. An event name that Evolution does not know would make it reject all settings.
EVENTS = (
    "MESSAGES_SET",  # the history, after pairing
    "MESSAGES_UPSERT",
    "MESSAGES_UPDATE",
    "MESSAGES_EDITED",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "CHATS_SET",  # the names of the chats of the history
    "CHATS_UPSERT",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "QRCODE_UPDATED",
    "STATUS_INSTANCE",
    "LOGOUT_INSTANCE",
    "REMOVE_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
)

# Events that a global webhook never sends, because Evolution has no WEBHOOK_EVENTS_… variable for them.
NEVER_GLOBAL = frozenset({"STATUS_INSTANCE", "LOGOUT_INSTANCE", "REMOVE_INSTANCE"})
# Event name → the end of its WEBHOOK_EVENTS_… variable, where the two differ.
_VARIABLES = {"GROUP_UPDATE": "GROUPS_UPDATE"}


def webhook_url(name: str) -> str:
    """Return the public URL to which Evolution posts the instance's events."""
    return f"{settings.PUBLIC_URL}/webhooks/evolution/{quote_segment(name)}"


def quote_segment(name: str) -> str:
    """Percent-encode a name or token for use as one path segment or query value of a URL."""
    return quote(name, safe="")


def instance_settings(name: str, token: str, *, media: bool = True) -> dict[str, Any]:
    """Return the JSON body for Evolution's endpoint `POST /webhook/set/<instance>`.

    Args:
        name: the instance's name.
        token: the webhook token.
        media: whether Evolution sends the content of media files inside webhooks.
    """
    return {
        "webhook": {
            "enabled": True,
            "url": webhook_url(name),
            "headers": {"Authorization": f"Bearer {token}"},
            "byEvents": False,
            "base64": media,
            "events": list(EVENTS),
        }
    }


def new_instance_settings(name: str, token: str, *, media: bool = True) -> dict[str, Any]:
    """Return the JSON body for Evolution's endpoint `POST /instance/create`, which also imports the history.

    The arguments are those of `instance_settings`. Evolution imports the history once, while it pairs.
    """
    channel = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "qrcode": True, "syncFullHistory": True}
    return {**channel, **instance_settings(name, token, media=media)}


def global_settings(name: str, token: str) -> dict[str, str]:
    """Return the environment variables that configure the global webhook of an Evolution server.

    The webhook token is part of the URL, because a global webhook sends no custom headers.
    """
    events = [_VARIABLES.get(event, event) for event in EVENTS if event not in NEVER_GLOBAL]
    return {
        "WEBHOOK_GLOBAL_ENABLED": "true",
        "WEBHOOK_GLOBAL_URL": f"{webhook_url(name)}?token={quote_segment(token)}",
        "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS": "false",
        **{f"WEBHOOK_EVENTS_{event}": "true" for event in events},
    }
