"""Compares the database, and what the API shows, with what must be there."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conversations.demo.events import Event
from conversations.models import Contact, Conversation, Instance, Message, WebhookEvent
from tests.load import requests
from tests.load.http_client import Pool
from tests.load.oracle import Bubble, Oracle, Thread

PREVIEW = 255  # characters of the last message that a conversation shows
LONGEST_PAGE = 200
TIMEOUT = 30.0
EXAMPLES = 3
CALL = "call"
# What the contract says is never debounced.
KEPT = frozenset(
    {"messages.upsert", "send.message", "messages.edited", "send.message.update", "messages.delete", "call"}
)

# Every way of being wrong, in the order in which they are reported.
CHECKS = (
    "lost",
    "duplicated",
    "out of order",
    "wrong unread",
    "wrong last message",
    "wrong status",
    "wrong text",
    "wrong timestamp",
    "wrong deletion",
    "wrong reactions",
    "wrong media",
    "wrong state",
    "stale in the API",
    "not applied",
)


@dataclass
class Report:
    """What is wrong, by the way in which it is: an example each; and how much was looked at."""

    mismatches: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    messages: int = 0
    conversations: int = 0

    def note(self, what: str, example: str) -> None:
        """Note one."""
        self.mismatches[what].append(example)

    def expect_equal(self, what: str, example: str, is_: object, must_be: object) -> None:
        """Note it unless both are equal."""
        if is_ != must_be:
            self.note(what, f"{example}: {is_!r}, must be {must_be!r}")

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.mismatches.values())


def verify_rows(instance: Instance, oracle: Oracle, judgement: Report) -> dict[str, int]:
    """Compare an instance's rows; return the conversation of each chat that has one."""
    rows: dict[tuple[str, bool], list[Message]] = defaultdict(list)
    for row in Message.objects.filter(instance=instance):
        rows[row.key_id, row.from_me].append(row)
    conversations = {row.pk: row for row in Conversation.objects.filter(instance=instance)}
    found: dict[str, int] = {}
    for chat, thread in oracle.threads.items():
        place = f"{instance.name} {chat}"
        judgement.conversations += 1
        homes = set()
        for bubble in thread.bubbles:
            copies = rows.pop((bubble.key_id, bubble.from_me), [])
            homes |= {copy.conversation_id for copy in copies}
            _judge_bubble(place, bubble, copies, judgement)
        if len(homes) > 1:
            judgement.note("duplicated", f"{place} has {len(homes)} conversations")
        elif homes:
            found[chat] = homes.pop()
            _judge_thread(place, thread, conversations[found[chat]], judgement)
    for (key_id, _), copies in rows.items():
        judgement.note("duplicated", f"{instance.name}: {len(copies)} messages {key_id} that nobody sent")
    for pk in conversations.keys() - set(found.values()):
        judgement.note("duplicated", f"{instance.name}: conversation {pk}, which nothing was said in")
    return found


def _judge_bubble(place: str, bubble: Bubble, copies: list[Message], judgement: Report) -> None:
    judgement.messages += 1
    place = f"{place} {bubble.key_id}"
    if not copies:
        judgement.note("lost", place)
        return
    if len(copies) > 1:
        judgement.note("duplicated", f"{place} is there {len(copies)} times")
    row = copies[0]
    judgement.expect_equal("wrong text", place, row.text, bubble.text)
    judgement.expect_equal("wrong timestamp", place, row.timestamp, bubble.at)
    judgement.expect_equal("wrong deletion", place, row.is_deleted, bubble.is_deleted)
    if row.kind != CALL:
        judgement.expect_equal("wrong status", place, row.status, bubble.status)
    reactions = sorted(said["emoji"] for said in row.reactions.values() if said["emoji"])
    judgement.expect_equal("wrong reactions", place, reactions, bubble.reactions)
    votes = sorted(said["options"] for said in row.poll_results.values())
    judgement.expect_equal("wrong reactions", place, votes, bubble.votes)
    judgement.expect_equal("wrong media", place, row.media.get("file", "").rpartition("/")[2], bubble.file)


def _judge_thread(place: str, thread: Thread, row: Conversation, judgement: Report) -> None:
    judgement.expect_equal("wrong unread", place, row.unread_count, thread.unread)
    shown = (row.last_message_at, row.last_message_text, row.last_message_from_me)
    last = thread.last
    text = "" if last.is_deleted else last.text[:PREVIEW]
    judgement.expect_equal("wrong last message", place, shown, (last.at, text, last.from_me))


def verify_states(instance: Instance, oracle: Oracle, addresses: Mapping[str, str], judgement: Report) -> None:
    """Compare the latest states: of the connection, and of the people."""
    if oracle.state:
        judgement.expect_equal("wrong state", instance.name, instance.state, oracle.state)
    contacts = Contact.objects.filter(instance=instance).values_list("jid", "presence")
    shown: dict[str, set[str]] = defaultdict(set)
    for jid, presence in contacts:
        if presence:
            shown[addresses.get(jid, jid)].add(presence)
    for phone, presence in oracle.presences.items():
        judgement.expect_equal("wrong state", f"{instance.name} {phone}", shown[phone], {presence})


def verify_inbox(instance: Instance, delivered: Iterable[Event], judgement: Report) -> None:
    """Look for events that were taken and are not there, or were not applied.

    Only those that may never be left out are counted: of latest states the last one is enough.
    """
    names = Counter(event.name for event in delivered if event.name in KEPT)
    events = WebhookEvent.objects.filter(instance=instance)
    for name, taken in names.items():
        kept = events.filter(name=name).count()
        if kept < taken:
            judgement.note("lost", f"{instance.name}: {taken} different {name} were taken, {kept} are in the inbox")
    for event in events.exclude(outcome__in=("applied", "ignored"))[:EXAMPLES]:
        judgement.note("not applied", f"{instance.name}: {event.name} {event.pk} is {event.outcome} {event.reason}")


@dataclass(frozen=True)
class Consumer:
    """Who asks the API."""

    pool: Pool
    token: str
    host: str

    async def get(self, path: str) -> Any:
        """Return what a path answers.

        Raises:
            OSError: nobody answers.
            ValueError: the answer is no JSON.
        """
        return json.loads((await self.pool.ask(requests.get(path, self.token, self.host), TIMEOUT)).body)


async def verify_shown(consumer: Consumer, pk: int, thread: Thread, judgement: Report) -> None:
    """Compare what the API shows of a conversation, by its id."""
    path = f"/api/v1/conversations/{pk}/"
    shown = await consumer.get(path)
    judgement.expect_equal("stale in the API", f"unread of {path}", shown["unread_count"], thread.unread)
    key_ids: list[str] = []
    following = f"{path}messages/?limit={LONGEST_PAGE}"
    while following:
        page = await consumer.get(following)
        key_ids += [row["key_id"] for row in page["results"]]
        following = page["next"].partition(consumer.host)[2] if page["next"] else ""
    must_be = [bubble.key_id for bubble in thread.bubbles]
    if sorted(key_ids) != sorted(must_be):
        judgement.note("stale in the API", f"{path}messages/ shows {len(key_ids)} of {len(must_be)} messages")
    elif key_ids != must_be:
        judgement.note("out of order", f"{path}messages/")
