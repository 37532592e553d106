"""Reactions and votes: each person has one a message, the latest counts, and an empty one takes it back.

Whose it is stands in `subject`: the key of an address, or `me`. The value has the address as it was written (`who`).
"""

from collections.abc import Iterator
from dataclasses import replace

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import Json
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, MessageUpdate
from conversations.evolution.jid import Address

ME = "me"


def reaction(body: Json, chat: Address, author: Address | None, at: int) -> Iterator[Fact]:
    """Yield one person's reaction.

    Args:
        body: the reactionMessage.
        chat: where it was sent; its key inside is written from the sender's side.
        author: who reacts; None for us.
        at: ms since the epoch, for one without its own time.
    """
    value = {"emoji": coerce.text(body.get("text"), 64)}
    yield from _said(MessageUpdate(_id(body.get("key")), "reaction", _sent(body, at), value, chat.key), author)


def vote(body: Json, results: object, chat: Address, author: Address | None, at: int) -> Iterator[Fact]:
    """Yield one person's vote: `results` (pollUpdates) names the voter beside what he has chosen, and nobody else.

    Args:
        body: the pollUpdateMessage; what it has chosen is encrypted unless Evolution could read it.
        results: the record's pollUpdates.
        chat: where it was sent.
        author: who votes; None for us.
        at: ms since the epoch, for one without its own time.
    """
    inside = body.get("vote")
    chosen = inside.get("selectedOptions") if isinstance(inside, dict) else None
    if not isinstance(chosen, list):
        if not isinstance(results, list):
            return
        chosen = [name for name, voters in _options(results) if voters]
    value = {"options": sorted(name for name in chosen if isinstance(name, str))}
    poll = MessageUpdate(_id(body.get("pollCreationMessageKey")), "poll", _sent(body, at), value, chat.key)
    yield from _said(poll, author)


def counted_votes(results: object, poll_id: str, chat: str, at: int, envelope: Envelope) -> Iterator[Fact]:
    """Yield the votes of a poll that come counted, by option, with the poll itself."""
    chosen: dict[Address, list[str]] = {}
    for name, voters in _options(results):
        for voter in voters:
            chosen.setdefault(voter, []).append(name)
    for voter, names in chosen.items():
        author = None if envelope.owner is not None and voter.key == envelope.owner.key else voter
        yield from _said(MessageUpdate(poll_id, "poll", at, {"options": sorted(names)}, chat), author)


def _said(update: MessageUpdate, author: Address | None) -> Iterator[Fact]:
    """Yield an update as somebody's, or nothing where it names no message."""
    if update.key_id:
        subject, who = (author.key, author.jid) if author else (ME, ME)
        yield replace(update, subject=subject, value={**update.value, "who": who})


def _id(key: object) -> str:
    return coerce.key_id(key.get("id")) if isinstance(key, dict) else ""


def _sent(body: Json, at: int) -> int:
    return coerce.milliseconds(body.get("senderTimestampMs")) or at


def _options(results: object) -> Iterator[tuple[str, list[Address]]]:
    for option in coerce.as_list(results):
        if isinstance(option, dict) and isinstance(option.get("name"), str):
            voters = [jid.parse(voter) for voter in coerce.as_list(option.get("voters"))]
            yield option["name"], [voter for voter in voters if voter is not None]
