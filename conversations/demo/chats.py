"""Plans an instance's demo chats: which scripts (written dialogues) each chat replays, and at which times."""

import itertools
from collections import Counter
from collections.abc import Sequence

from conversations.demo import demo_clock, script
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CLOSING_HOUR, DAY, HOUR, MINUTE, OPENING_HOUR
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.people import generate_people
from conversations.demo.rng import Random, digits, rng_for
from conversations.demo.script import Script

# Fraction of a Baileys number's chats that are direct chats with messages after the number was connected. Every
# chat on a Cloud API number has messages after the number was connected.
LIVE_SHARE = 0.055
GROUP_MEMBERS = 4  # number of people in a group besides the instance's owner
_OPEN_EVERY = 3  # one of three direct chats with live messages ends with a question that has no answer yet
_MAX_LENGTH_FACTOR = 6  # maximum length of a chat's history, as a multiple of the average length
# If the average history has N times this number of messages, a history may contain the same script N times.
_MESSAGES_PER_SCRIPT_CYCLE = 25
_MEAN_SILENCE = 18 * DAY  # average time from the last script in a chat's history to the connection of the number
_MAX_SILENCE = 160 * DAY
_START_ATTEMPTS = 50  # number of attempts to draw a start time within business hours


def build_chats(seed: int, instance: DemoInstance, count: int, messages: int) -> list[Chat]:
    """Return the demo chats of an instance, groups first.

    Args:
        seed: the demo's seed.
        instance: the instance whose chats are planned.
        count: number of chats to plan.
        messages: average number of messages in the history of a chat.
    """
    groups = max(round(count * instance.group_share), min(count - 1, 1)) if instance.groups else 0
    live = count if instance.is_cloud_api else max(round(count * LIVE_SHARE), min(count - groups, 2))
    people = {
        language: generate_people(rng_for(seed, instance.name, "people", language), language, instance.region)
        for language, _ in instance.languages
    }
    languages, weights = zip(*instance.languages, strict=True)
    direct: Counter[str] = Counter()  # language → number of direct chats planned so far
    chats = []
    for number in range(count):
        rng = rng_for(seed, instance.name, number)
        if number < groups:
            members = tuple(itertools.islice(people["pt"], GROUP_MEMBERS))
            jid = f"120363{digits(rng, 12)}@g.us"
            chat = Chat(seed, instance, number, members, _subject(instance, number), jid)
            _fill_chat(chat, rng, messages, number)
        else:
            language = rng.choices(languages, weights)[0]
            chat = Chat(seed, instance, number, (next(people[language]),))
            chat.live_index = number - groups if number < groups + live else None
            _fill_chat(chat, rng, messages, direct[language])
            direct[language] += 1
        chats.append(chat)
    return chats


def _subject(instance: DemoInstance, number: int) -> str:
    """Return the subject of a group; if there are more groups than subjects, subjects are used again with a number."""
    round_number, index = divmod(number, len(instance.groups))
    subject = instance.groups[index][0]
    return f"{subject} {round_number + 1}" if round_number else subject


def _fill_chat(chat: Chat, rng: Random, messages: int, script_index: int) -> None:
    """Choose the scripts of a chat: one or two after the number was connected if the chat is live, others before.

    `script_index` selects the script that is replayed after the number was connected. Consecutive values of
    `script_index` select different scripts, so that every kind of action occurs in live webhooks.
    """
    scripts = script.scripts_for(_topic(chat), chat.person.language)
    order = list(scripts)
    rng.shuffle(order)
    if chat.group_jid or chat.live_index is not None:
        live_script = scripts[script_index % len(scripts)]
        order.remove(live_script)
        chat.live = _live(chat, live_script, rng)
        if chat.live_index is not None and chat.live_index % _OPEN_EVERY == 1:
            chat.live += _unanswered(chat, order.pop(), rng)
    if not chat.instance.is_cloud_api:
        chat.history = _history(chat, order, rng, messages)


def _topic(chat: Chat) -> str:
    groups = chat.instance.groups
    return groups[chat.number % len(groups)][1] if chat.group_jid else chat.instance.topic


def _history(chat: Chat, order: Sequence[Script], rng: Random, messages: int) -> list[ChatAction]:
    """Return the actions before the number was connected: scripts several days apart, with a random total length."""
    live_messages = sum(action.is_message for action in chat.live)
    length = min(rng.expovariate(1 / messages), _MAX_LENGTH_FACTOR * messages) - live_messages
    cycles = max(1, messages // _MESSAGES_PER_SCRIPT_CYCLE)
    supply = itertools.islice(itertools.cycle(order), cycles * len(order))
    chosen, total = [next(supply)], order[0].message_count
    for each in supply:
        if total + each.message_count / 2 >= length:
            break
        chosen.append(each)
        total += each.message_count
    day = chat.instance.connected_at - 3 * DAY - round(min(rng.expovariate(1 / _MEAN_SILENCE), _MAX_SILENCE))
    actions: list[ChatAction] = []
    for each in reversed(chosen):
        start = demo_clock.at_hour(day, rng.uniform(OPENING_HOUR, _latest_hour(each)))
        actions = ConversationBuilder(chat, each, rng, start).build() + actions
        day -= round(rng.uniform(2.5, 20) * DAY)
    return actions


def _live(chat: Chat, live_script: Script, rng: Random) -> list[ChatAction]:
    """Return the actions of a script that starts within business hours after the number was connected."""
    earliest = chat.instance.connected_at + 30 * MINUTE
    latest = max(chat.instance.end - _max_duration(live_script) - HOUR, earliest + HOUR)
    latest_hour = _latest_hour(live_script)
    drawn = (rng.randrange(earliest, latest) for _ in range(_START_ATTEMPTS))
    start = next((at for at in drawn if OPENING_HOUR <= demo_clock.hour(at) < latest_hour), earliest)
    return ConversationBuilder(chat, live_script, rng, start).build()


def _unanswered(chat: Chat, next_script: Script, rng: Random) -> list[ChatAction]:
    """Return the customer's messages at the beginning of a script, which the instance has not answered yet."""
    opening = itertools.takewhile(
        lambda line: line.speaker == "c" and line.kind in script.MESSAGE_KINDS, next_script.lines
    )
    question = Script(next_script.topic, next_script.language, tuple(opening))
    start = max(chat.live[-1].at + 5 * MINUTE, chat.instance.end - rng.randrange(10 * MINUTE, 4 * HOUR))
    return ConversationBuilder(chat, question, rng, start).build()


def _max_duration(timed: Script) -> int:
    return sum(line.pause for line in timed.lines) + len(timed.lines) * 2 * MINUTE


def _latest_hour(timed: Script) -> float:
    """Return the latest local hour at which the script can begin and still end before closing time."""
    return CLOSING_HOUR - min(_max_duration(timed) / HOUR, 9)
