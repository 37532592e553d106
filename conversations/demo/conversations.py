"""Which scenes are played in which chats, and when: before the number was connected, and since."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from conversations.demo import demo_clock, script
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import DAY, END, HOUR, MINUTE
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.people import Person, generate_people
from conversations.demo.rng import Random, digits, rng_for
from conversations.demo.script import Script

LIVE_SHARE = 0.055  # of the direct chats have messages since the number was connected; of the Cloud API's, all
MEMBERS = 4  # of a group, beside the instance
_OPEN_SHARE = 3  # one live chat in so many ends with a question that waits for an answer
_LONGEST = 6  # times the average
_SCENES_ONCE = 25  # messages on average, up to which no chat repeats a scene
_SILENCE = 18 * DAY  # since the older chats' last scene, on average
_OLDEST = 160 * DAY
_ATTEMPTS = 50  # at a start within the office's hours


def build_chats(seed: int, channel: DemoInstance, count: int, messages: int) -> list[Chat]:
    """Return an instance's chats, groups first; `messages` is the average length of those that have a past."""
    groups = max(round(count * channel.group_share), min(count - 1, 1)) if channel.groups else 0
    live = count if channel.is_cloud_api else max(round(count * LIVE_SHARE), min(count - groups, 2))
    people = _People(seed, channel)
    played: Counter[str] = Counter()
    made = []
    for number in range(count):
        chance = rng_for(seed, channel.name, number)
        chat = people.group(number, chance) if number < groups else people.direct(number, chance)
        chat.live_number = number - groups if groups <= number < groups + live else None
        turn = number if number < groups else played[chat.person.language]
        played[chat.person.language] += number >= groups
        _fill_chat(chat, chance, messages, turn)
        made.append(chat)
    return made


class _People:
    """Deals an instance's people out to its chats."""

    def __init__(self, seed: int, channel: DemoInstance) -> None:
        self._seed = seed
        self._channel = channel
        self._casts: dict[str, Iterator[Person]] = {
            language: generate_people(rng_for(seed, channel.name, "people", language), language, channel.region)
            for language, _ in channel.languages
        }

    def direct(self, number: int, chance: Random) -> Chat:
        languages, weights = zip(*self._channel.languages, strict=True)
        language = chance.choices(languages, weights)[0]
        return Chat(self._seed, self._channel, number, (next(self._casts[language]),))

    def group(self, number: int, chance: Random) -> Chat:
        subject, _ = self._channel.groups[number % len(self._channel.groups)]
        if number >= len(self._channel.groups):
            subject = f"{subject} {number // len(self._channel.groups) + 1}"
        members = tuple(itertools.islice(self._casts["pt"], MEMBERS))
        return Chat(self._seed, self._channel, number, members, subject, f"120363{digits(chance, 12)}@g.us")


def _fill_chat(chat: Chat, chance: Random, messages: int, turn: int) -> None:
    """Play the chat's scenes: one or two live ones, if it is live, and others before.

    Live chats take the scenes in `turn`, so that each kind of line is seen live.
    """
    scenes = script.scripts_for(_repertoire(chat), chat.person.language)
    order = list(scenes)
    chance.shuffle(order)
    if chat.group_jid or chat.live_number is not None:
        scene = scenes[turn % len(scenes)]
        order.remove(scene)
        chat.live = _live(chat, scene, chance)
        if chat.live_number is not None and chat.live_number % _OPEN_SHARE == 1:
            chat.live += _unanswered(chat, order.pop(), chance)
    if not chat.channel.is_cloud_api:
        chat.past = _past(chat, order, chance, messages)


def _repertoire(chat: Chat) -> str:
    if not chat.group_jid:
        return chat.channel.repertoire
    return chat.channel.groups[chat.number % len(chat.channel.groups)][1]


def _past(chat: Chat, order: Sequence[Script], chance: Random, messages: int) -> list[ChatAction]:
    """Play scenes days apart, one at least, until the chat is as long as chance wants it; `messages` is the average."""
    length = min(chance.expovariate(1 / messages), _LONGEST * messages) - sum(turn.is_bubble for turn in chat.live)
    supply = itertools.islice(itertools.cycle(order), max(1, messages // _SCENES_ONCE) * len(order))
    chosen, so_far = [next(supply)], order[0].bubbles
    for scene in supply:
        if so_far + scene.bubbles / 2 >= length:
            break
        chosen.append(scene)
        so_far += scene.bubbles
    day = demo_clock.CONNECTED - 3 * DAY - round(min(chance.expovariate(1 / _SILENCE), _OLDEST))
    turns: list[ChatAction] = []
    for scene in reversed(chosen):
        start = demo_clock.at_hour(day, chance.uniform(demo_clock.OPENS, _latest_hour(scene)))
        turns = ConversationBuilder(chat, scene, chance, start).build() + turns
        day -= round(chance.uniform(2.5, 20) * DAY)
    return turns


def _live(chat: Chat, scene: Script, chance: Random) -> list[ChatAction]:
    """Play a scene within the office's hours since the number was connected."""
    earliest = chat.channel.connected_at + 30 * MINUTE
    latest = max(END - _room(scene) - HOUR, earliest + HOUR)
    drawn = (chance.randrange(earliest, latest) for _ in range(_ATTEMPTS))
    start = next((at for at in drawn if demo_clock.OPENS <= demo_clock.hour(at) < _latest_hour(scene)), earliest)
    return ConversationBuilder(chat, scene, chance, start).build()


def _unanswered(chat: Chat, scene: Script, chance: Random) -> list[ChatAction]:
    """The customer has just begun another matter, and nobody has answered yet."""
    opening = itertools.takewhile(lambda line: line.who == "c" and line.kind in script.BUBBLES, scene.lines)
    question = Script(scene.repertoire, scene.language, tuple(opening))
    start = max(chat.live[-1].at + 5 * MINUTE, END - chance.randrange(10 * MINUTE, 4 * HOUR))
    return [turn for turn in ConversationBuilder(chat, question, chance, start).build() if turn.at < END]


def _room(scene: Script) -> int:
    """Return how long the scene takes, at most."""
    return sum(line.pause for line in scene.lines) + len(scene.lines) * 2 * MINUTE


def _latest_hour(scene: Script) -> float:
    """Return the hour until which the scene can begin, for nobody likes to write at night."""
    return demo_clock.CLOSES - min(_room(scene) / HOUR, 9)
