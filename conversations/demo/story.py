"""Which scenes are played in which chats, and when: before the number was connected, and since."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from conversations.demo import moments, screenplay
from conversations.demo.chance import Chance, digits, stream
from conversations.demo.channels import Channel
from conversations.demo.chat import Chat, Turn
from conversations.demo.moments import DAY, END, HOUR, MINUTE
from conversations.demo.people import Person, cast
from conversations.demo.performance import Performance
from conversations.demo.screenplay import Scene

LIVE_SHARE = 0.055  # of the direct chats have messages since the number was connected; of the Cloud API's, all
MEMBERS = 4  # of a group, beside the instance
_OPEN_SHARE = 3  # one live chat in so many ends with a question that waits for an answer
_LONGEST = 6  # times the average
_SCENES_ONCE = 25  # messages on average, up to which no chat repeats a scene
_SILENCE = 18 * DAY  # since the older chats' last scene, on average
_OLDEST = 160 * DAY
_ATTEMPTS = 50  # at a start within the office's hours


def chats(seed: int, channel: Channel, count: int, messages: int) -> list[Chat]:
    """Return an instance's chats, groups first; `messages` is the average length of those that have a past."""
    groups = max(round(count * channel.group_share), min(count - 1, 1)) if channel.groups else 0
    live = count if channel.is_cloud_api else max(round(count * LIVE_SHARE), min(count - groups, 2))
    people = _People(seed, channel)
    played: Counter[str] = Counter()
    made = []
    for number in range(count):
        chance = stream(seed, channel.name, number)
        chat = people.group(number, chance) if number < groups else people.direct(number, chance)
        chat.live_number = number - groups if groups <= number < groups + live else None
        turn = number if number < groups else played[chat.person.language]
        played[chat.person.language] += number >= groups
        _tell(chat, chance, messages, turn)
        made.append(chat)
    return made


class _People:
    """Deals an instance's people out to its chats."""

    def __init__(self, seed: int, channel: Channel) -> None:
        self._seed = seed
        self._channel = channel
        self._casts: dict[str, Iterator[Person]] = {
            language: cast(stream(seed, channel.name, "people", language), language, channel.region)
            for language, _ in channel.languages
        }

    def direct(self, number: int, chance: Chance) -> Chat:
        languages, weights = zip(*self._channel.languages, strict=True)
        language = chance.choices(languages, weights)[0]
        return Chat(self._seed, self._channel, number, (next(self._casts[language]),))

    def group(self, number: int, chance: Chance) -> Chat:
        subject, _ = self._channel.groups[number % len(self._channel.groups)]
        if number >= len(self._channel.groups):
            subject = f"{subject} {number // len(self._channel.groups) + 1}"
        members = tuple(itertools.islice(self._casts["pt"], MEMBERS))
        return Chat(self._seed, self._channel, number, members, subject, f"120363{digits(chance, 12)}@g.us")


def _tell(chat: Chat, chance: Chance, messages: int, turn: int) -> None:
    """Play the chat's scenes: one or two live ones, if it is live, and others before.

    Live chats take the scenes in `turn`, so that each kind of line is seen live.
    """
    scenes = screenplay.repertoire(_repertoire(chat), chat.person.language)
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


def _past(chat: Chat, order: Sequence[Scene], chance: Chance, messages: int) -> list[Turn]:
    """Play scenes days apart, one at least, until the chat is as long as chance wants it; `messages` is the average."""
    length = min(chance.expovariate(1 / messages), _LONGEST * messages) - sum(turn.is_bubble for turn in chat.live)
    supply = itertools.islice(itertools.cycle(order), max(1, messages // _SCENES_ONCE) * len(order))
    chosen, so_far = [next(supply)], order[0].bubbles
    for scene in supply:
        if so_far + scene.bubbles / 2 >= length:
            break
        chosen.append(scene)
        so_far += scene.bubbles
    day = moments.CONNECTED - 3 * DAY - round(min(chance.expovariate(1 / _SILENCE), _OLDEST))
    turns: list[Turn] = []
    for scene in reversed(chosen):
        start = moments.at_hour(day, chance.uniform(moments.OPENS, _latest_hour(scene)))
        turns = Performance(chat, scene, chance, start).play() + turns
        day -= round(chance.uniform(2.5, 20) * DAY)
    return turns


def _live(chat: Chat, scene: Scene, chance: Chance) -> list[Turn]:
    """Play a scene within the office's hours since the number was connected."""
    earliest = chat.channel.connected_at + 30 * MINUTE
    latest = max(END - _room(scene) - HOUR, earliest + HOUR)
    drawn = (chance.randrange(earliest, latest) for _ in range(_ATTEMPTS))
    start = next((at for at in drawn if moments.OPENS <= moments.hour(at) < _latest_hour(scene)), earliest)
    return Performance(chat, scene, chance, start).play()


def _unanswered(chat: Chat, scene: Scene, chance: Chance) -> list[Turn]:
    """The customer has just begun another matter, and nobody has answered yet."""
    opening = itertools.takewhile(lambda line: line.who == "c" and line.kind in screenplay.BUBBLES, scene.lines)
    question = Scene(scene.repertoire, scene.language, tuple(opening))
    start = max(chat.live[-1].at + 5 * MINUTE, END - chance.randrange(10 * MINUTE, 4 * HOUR))
    return [turn for turn in Performance(chat, question, chance, start).play() if turn.at < END]


def _room(scene: Scene) -> int:
    """Return how long the scene takes, at most."""
    return sum(line.pause for line in scene.lines) + len(scene.lines) * 2 * MINUTE


def _latest_hour(scene: Scene) -> float:
    """Return the hour until which the scene can begin, for nobody likes to write at night."""
    return moments.CLOSES - min(_room(scene) / HOUR, 9)
