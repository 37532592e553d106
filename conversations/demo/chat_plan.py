"""A chat of the story and the turns it is made of; the same on every channel, and nothing of payloads yet."""

from dataclasses import dataclass, field

from conversations.demo import script
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.people import Person
from conversations.demo.rng import Random, rng_for


@dataclass(frozen=True, eq=False)
class ChatAction:
    """One thing somebody did: a bubble, or something done to the bubble `about`. `who` is None for the instance."""

    at: int
    who: Person | None
    kind: str
    argument: str
    text: str
    key_id: str
    about: "ChatAction | None" = None
    by_phone: bool = False

    @property
    def is_bubble(self) -> bool:
        """Whether it is a message of its own."""
        return self.kind in script.BUBBLES


@dataclass
class Chat:
    """One conversation of an instance: what was said before the number was connected, and what after.

    `live_number` counts the direct chats that have a live part; None for the others.
    """

    seed: int
    channel: DemoInstance
    number: int
    people: tuple[Person, ...]
    subject: str = ""
    group_jid: str = ""
    past: list[ChatAction] = field(default_factory=list)
    live: list[ChatAction] = field(default_factory=list)
    live_number: int | None = None

    @property
    def person(self) -> Person:
        """The other end of a direct chat; a group's owner."""
        return self.people[0]

    def noise(self, what: str) -> Random:
        """Return a stream for what the channel adds to the story: ids, times of delivery, acknowledgements."""
        return rng_for(self.seed, self.channel.name, self.number, what)

    def is_answered(self, turn: ChatAction) -> bool:
        """Whether the other end has said something since a live turn."""
        return any(later.who and later.at > turn.at for later in self.live)
