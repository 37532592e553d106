"""The domain's models, each with its manager. Other packages import models from `conversations.models`.

The model modules import each other in one direction only: `message` → `conversation` → `contact` → `instance`.
"""

from conversations.db import lookups as _lookups  # noqa: F401 - registers the lookups
from conversations.evolution.coerce import EPOCH
from conversations.models.contact import Contact, ContactAddress
from conversations.models.conversation import Conversation, Participant
from conversations.models.ingestion import IngestCounter, IngestLease, PendingUpdate, StateClock, WebhookEvent
from conversations.models.instance import Instance
from conversations.models.message import Message

__all__ = [
    "EPOCH",
    "Contact",
    "ContactAddress",
    "Conversation",
    "IngestCounter",
    "IngestLease",
    "Instance",
    "Message",
    "Participant",
    "PendingUpdate",
    "StateClock",
    "WebhookEvent",
]
