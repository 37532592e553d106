"""The cache policy: which models are cached for how long, and which tags a write of each model invalidates.

For example, writing a conversation invalidates its row, the pages of its messages and its instance's list.
"""

from cachelayer import InvalidationRule, Namespace
from conversations.models import Contact, Conversation, Instance, Message, Participant

MINUTE = 60  # seconds
HOUR = 60 * MINUTE

NAMESPACES = (
    Namespace("instances", row="instance", ttl=1 * HOUR, max_items=100),
    Namespace("contacts", row="contact", ttl=5 * MINUTE, max_items=500),
    Namespace("conversations", row="conversation", ttl=30 * MINUTE, max_items=1000),
    Namespace("messages", row="message", ttl=10 * MINUTE, max_items=2000),
)

# Database triggers enforce that these fields never change (migrations 0002 and 0005).
IMMUTABLE_INSTANCE = ("instance_id",)
IMMUTABLE_NAME = ("name_digest",)

INVALIDATION_RULES = (
    # Authentication of a webhook reads the list of one name, so writes to other instances do not invalidate it.
    InvalidationRule(
        Instance, ("instance:{pk}", "instances:named:{name_digest}", "instances:all"), immutable=IMMUTABLE_NAME
    ),
    InvalidationRule(
        Contact, ("contact:{pk}", "contacts:instance:{instance_id}", "contacts:all"), immutable=IMMUTABLE_INSTANCE
    ),
    InvalidationRule(
        Conversation,
        ("conversation:{pk}", "messages:{pk}", "conversations:instance:{instance_id}", "conversations:all"),
        immutable=IMMUTABLE_INSTANCE,
    ),
    InvalidationRule(Participant, ("conversations:participants:{conversation_id}",)),
    InvalidationRule(
        Message,
        ("message:{pk}", "messages:{conversation_id}", "messages:instance:{instance_id}", "messages:all"),
        immutable=IMMUTABLE_INSTANCE,
    ),
)
