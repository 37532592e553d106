"""What is cached, and what each write makes invalid: the whole policy of the cache, at a glance.

The seed of it: a conversation's write invalidates the conversation, its messages and its instance's list.
"""

from cachelayer.cascade import Rule
from cachelayer.namespaces import Namespace
from conversations.models import Contact, Conversation, Instance, Message, Participant

MINUTE = 60  # seconds
HOUR = 60 * MINUTE

NAMESPACES = (
    Namespace("instances", row="instance", ttl=1 * HOUR, max_items=100),
    Namespace("contacts", row="contact", ttl=5 * MINUTE, max_items=500),
    Namespace("conversations", row="conversation", ttl=30 * MINUTE, max_items=1000),
    Namespace("messages", row="message", ttl=10 * MINUTE, max_items=2000),
)

# A row keeps its instance, and an instance its name: triggers see to it (migrations 0002 and 0005).
OWNED = ("instance_id",)
NAMED = ("name_digest",)

CASCADE = (
    # Each webhook is authenticated by what is cached under a name: other instances' writes leave that alone.
    Rule(Instance, ("instance:{pk}", "instances:named:{name_digest}", "instances:all"), fixed=NAMED),
    Rule(Contact, ("contact:{pk}", "contacts:instance:{instance_id}", "contacts:all"), fixed=OWNED),
    Rule(
        Conversation,
        ("conversation:{pk}", "messages:{pk}", "conversations:instance:{instance_id}", "conversations:all"),
        fixed=OWNED,
    ),
    Rule(Participant, ("conversations:participants:{conversation_id}",)),
    Rule(
        Message,
        ("message:{pk}", "messages:{conversation_id}", "messages:instance:{instance_id}", "messages:all"),
        fixed=OWNED,
    ),
)
