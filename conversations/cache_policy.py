"""The cache policy: which models are cached for how long, and which tags a write of each model invalidates.

For example, writing a conversation invalidates the cached row of the conversation, the cached pages of its messages and
the cached lists of conversations.
"""

from cachelayer import InvalidationRule, Namespace
from conversations.models import ApiToken, Contact, Conversation, Instance, Membership, Message, Participant

MINUTE = 60  # seconds
HOUR = 60 * MINUTE

# Who may see what. These entries are never read from Redis (docs/decisions/trust.md).
ACCESS = Namespace("access", row="access_row", ttl=1 * MINUTE, max_items=1000)
# Rendered answers of the API. An answer expires with the first of the entries that it shows.
ANSWERS = Namespace("answers", row="answer", ttl=1 * HOUR, max_items=1000)

NAMESPACES = (
    Namespace("instances", row="instance", ttl=1 * HOUR, max_items=100),
    Namespace("contacts", row="contact", ttl=5 * MINUTE, max_items=500),
    Namespace("conversations", row="conversation", ttl=30 * MINUTE, max_items=1000),
    Namespace("messages", row="message", ttl=10 * MINUTE, max_items=2000),
    ACCESS,
    ANSWERS,
)

# Database triggers (migrations 0002 and 0005) enforce that the fields in `IMMUTABLE_*` never change.
IMMUTABLE_INSTANCE = ("instance_id",)
IMMUTABLE_NAME = ("name_digest",)

INVALIDATION_RULES = (
    # Webhook authentication reads the list of the instances with one name. The tag `instances:named:…` contains the
    # name's digest, so that a write to an instance with another name does not invalidate that list.
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
    InvalidationRule(ApiToken, ("access:token:{digest_key}", "access:user:{user_id}"), immutable=("digest_key",)),
    InvalidationRule(Membership, ("access:user:{user_id}",)),
)
