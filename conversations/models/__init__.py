"""The domain's models, each with its manager. Other packages import the models from here.

The modules depend on each other in one direction: `instance`, `contact`, `conversation`, `message`.
"""

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
