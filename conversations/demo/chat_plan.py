"""The content of one chat, independent of the payload format: its people, its history and its live actions."""

from dataclasses import dataclass, field

from conversations.demo import script
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.people import Person
from conversations.demo.rng import Random, rng_for


@dataclass(frozen=True, eq=False)
class ChatAction:
    """One action in a chat: a message, or something done to an earlier message, the `target`.

    Attributes:
        at: its time.
        author: the person; None for the instance's own number.
        kind, argument, text: as in `script.ScriptLine`, with the slots filled.
        key_id: the message id.
        target: the message that it quotes, edits, deletes, votes in or reacts to.
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
        """Whether it is a message, and not an action on an earlier one."""
        return self.kind in script.MESSAGE_KINDS


@dataclass
class Chat:
    """One chat of an instance.

    Attributes:
        seed: the demo's seed.
        instance: its instance.
        number: its number within the instance.
        people: the customer, or the group's members; the first of them owns the group.
        subject, group_jid: empty for a direct chat.
        history: actions from before the number was connected.
        live: actions from afterwards.
        live_index: counts the direct chats with live actions; None for other chats.
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
        """The customer of a direct chat; the owner of a group."""
        return self.people[0]

    def rng_for(self, purpose: str) -> Random:
        """Return the chat's random generator for one purpose, such as ids and delays of live webhooks."""
        return rng_for(self.seed, self.instance.name, self.number, purpose)

    def is_answered(self, action: ChatAction) -> bool:
        """Whether a person at the other end acts after this live action."""
        return any(later.author and later.at > action.at for later in self.live)
