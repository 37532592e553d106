"""The plan of one demo chat: its people and actions, independent of the format of webhook payloads.

The history of a chat is what happened before the number was connected to Evolution; later actions are called live.
"""

from dataclasses import dataclass, field

from conversations.demo import script
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.people import Person
from conversations.demo.rng import Random, rng_for


@dataclass(frozen=True, eq=False)
class ChatAction:
    """One action in a chat: a new message, a call, or a change of an earlier message, such as an edit or a reaction.

    Attributes:
        at: the time of the action.
        author: the person who acts; None for the instance's own number.
        kind, argument, text: the values of the `script.ScriptLine`, in which slots such as {item} have been replaced.
        key_id: WhatsApp's id of the message.
        target: the earlier message that the action quotes, edits, deletes, votes in or reacts to.
        is_from_phone: whether the instance's owner acts on the phone, and not through the API.
    """

    at: int
    author: Person | None
    kind: str
    argument: str
    text: str
    key_id: str
    target: "ChatAction | None" = None
    is_from_phone: bool = False

    @property
    def is_message(self) -> bool:
        """Whether the action is a new message, and not a call or a change of an earlier message."""
        return self.kind in script.MESSAGE_KINDS


@dataclass
class Chat:
    """One demo chat of an instance.

    Attributes:
        seed: the demo's seed.
        instance: the instance that the chat belongs to.
        number: number of the chat within the instance.
        people: the customer of a direct chat, or the members of a group, of which the first is the group's owner.
        subject, group_jid: name and address of a group; both are empty for a direct chat.
        history: actions before the number was connected.
        live: actions after the number was connected.
        live_index: position of the chat among the direct chats with live actions; None for any other chat.
    """

    seed: int
    instance: DemoInstance
    number: int
    people: tuple[Person, ...]
    subject: str = ""
    group_jid: str = ""
    history: list[ChatAction] = field(default_factory=list)
    live: list[ChatAction] = field(default_factory=list)
    live_index: int | None = None

    @property
    def person(self) -> Person:
        """The customer of a direct chat, or the owner of a group."""
        return self.people[0]

    def rng_for(self, purpose: str) -> Random:
        """Return a random generator of the chat for one purpose, such as ids and delays of webhooks."""
        return rng_for(self.seed, self.instance.name, self.number, purpose)

    def is_answered(self, action: ChatAction) -> bool:
        """Whether the customer or a group member acts in the chat after this live action."""
        return any(later.author and later.at > action.at for later in self.live)
