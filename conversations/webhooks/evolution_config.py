"""Generates Evolution's settings for a webhook of one instance, or for the global webhook of an Evolution server."""

from typing import Any
from urllib.parse import quote

from django.conf import settings

# The events to subscribe to. Events that only repeat the information of other events are left out. MESSAGES_SET and
# CHATS_SET are left out too, because these events are only needed to import an instance's history.
EVENTS = (
    "MESSAGES_UPSERT",
    "MESSAGES_UPDATE",
    "MESSAGES_EDITED",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "CHATS_DELETE",
    "CONNECTION_UPDATE",
    "QRCODE_UPDATED",
    "STATUS_INSTANCE",
    "LOGOUT_INSTANCE",
    "REMOVE_INSTANCE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "GROUPS_UPSERT",
    "GROUP_PARTICIPANTS_UPDATE",
    "CALL",
)

# Events that a global webhook never sends, because Evolution has no WEBHOOK_EVENTS_… variable for them.
NEVER_GLOBAL = frozenset({"STATUS_INSTANCE", "LOGOUT_INSTANCE", "REMOVE_INSTANCE"})


def webhook_url(name: str) -> str:
    """Return the public URL to which Evolution posts the instance's events."""
    return f"{settings.PUBLIC_URL}/webhooks/evolution/{quote_segment(name)}"


def quote_segment(name: str) -> str:
    """Percent-encode a name or token for use as one path segment or query value of a URL."""
    return quote(name, safe="")


def instance_settings(name: str, token: str) -> dict[str, Any]:
    """Return the JSON body for Evolution's endpoint `POST /webhook/set/<instance>`."""
    return {
        "webhook": {
            "enabled": True,
            "url": webhook_url(name),
            "headers": {"Authorization": f"Bearer {token}"},
            "byEvents": False,
            "base64": False,
            "events": list(EVENTS),
        }
    }


def global_settings(name: str, token: str) -> dict[str, str]:
    """Return the environment variables that configure the global webhook of an Evolution server.

    The webhook token is part of the URL, because a global webhook sends no custom headers.
    """
    return {
        "WEBHOOK_GLOBAL_ENABLED": "true",
        "WEBHOOK_GLOBAL_URL": f"{webhook_url(name)}?token={quote_segment(token)}",
        "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS": "false",
        **{f"WEBHOOK_EVENTS_{event}": "true" for event in EVENTS if event not in NEVER_GLOBAL},
    }
