"""The domain's models, each with its manager. Other packages import models from `conversations.models`.

The model modules import each other in one direction only: `message`, `participant` → `conversation` → `contact` →
`state_clock` → `instance`; `access` → `instance`; `webhook_subscription` → `change`.
"""

from conversations.db import lookups as _lookups  # noqa: F401 - registers the lookups
from conversations.evolution.coerce import EPOCH
from conversations.models.access import ApiToken, Membership, ReadingRecord, Role, Scope
from conversations.models.change import Change, ChangeHistory
from conversations.models.contact import Contact, ContactAddress
from conversations.models.conversation import Conversation
from conversations.models.conversation_tally import ConversationTally
from conversations.models.idempotent_request import IdempotentRequest
from conversations.models.ingestion import IngestCounter, IngestLease, PendingUpdate, WebhookEvent
from conversations.models.instance import Instance
from conversations.models.message import Message
from conversations.models.monitoring import (
    ActiveHour,
    Alarm,
    AlarmMessage,
    CheckResult,
    MinuteRecord,
    RefusalMark,
    Turn,
)
from conversations.models.participant import Participant
from conversations.models.state_clock import StateClock
from conversations.models.webhook_subscription import DeliveryAttempt, WebhookSubscription

__all__ = [
    "EPOCH",
    "ActiveHour",
    "Alarm",
    "AlarmMessage",
    "ApiToken",
    "Change",
    "ChangeHistory",
    "CheckResult",
    "Contact",
    "ContactAddress",
    "Conversation",
    "ConversationTally",
    "DeliveryAttempt",
    "IdempotentRequest",
    "IngestCounter",
    "IngestLease",
    "Instance",
    "Membership",
    "Message",
    "MinuteRecord",
    "Participant",
    "PendingUpdate",
    "ReadingRecord",
    "RefusalMark",
    "Role",
    "Scope",
    "StateClock",
    "Turn",
    "WebhookEvent",
    "WebhookSubscription",
]
