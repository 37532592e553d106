"""Reactions and poll votes. Each person has at most one per message: the latest one counts, an empty one removes it.

`subject` is the person's address key, or `me` for the instance. `value["who"]` is the address as the payload has it.
"""

from collections.abc import Iterator
from dataclasses import replace

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import Json
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, MessageUpdate
from conversations.evolution.jid import Address

ME = "me"


def parse_reaction(body: Json, chat: Address, author: Address | None, fallback_ms: int) -> Iterator[Fact]:
    """Yield one person's reaction.

    Args:
        body: the reactionMessage.
        chat: the chat of the record. The chat in the reaction's key is the sender's view, which may differ.
        author: the person who reacts; None for the instance.
        fallback_ms: the time in ms since the epoch, used if the reaction has none.
    """
    value = {"emoji": coerce.text(body.get("text"), 64)}
    update = MessageUpdate(_id(body.get("key")), "reaction", _sent_ms(body, fallback_ms), value, chat.key)
    yield from _by_author(update, author)


def parse_vote(body: Json, results: object, chat: Address, author: Address | None, fallback_ms: int) -> Iterator[Fact]:
    """Yield one person's vote.

    Args:
        body: the pollUpdateMessage. Its choice is encrypted unless Evolution was able to decrypt it.
        results: the record's `pollUpdates`, used if the choice is encrypted. It lists this voter only.
        chat: the chat of the record.
        author: the person who votes; None for the instance.
        fallback_ms: the time in ms since the epoch, used if the vote has none.
    """
    decrypted = body.get("vote")
    chosen = decrypted.get("selectedOptions") if isinstance(decrypted, dict) else None
    if not isinstance(chosen, list):
        if not isinstance(results, list):
            return
        chosen = [name for name, voters in _options(results) if voters]
    value = {"options": sorted(name for name in chosen if isinstance(name, str))}
    poll_id, sent_ms = _id(body.get("pollCreationMessageKey")), _sent_ms(body, fallback_ms)
    yield from _by_author(MessageUpdate(poll_id, "poll", sent_ms, value, chat.key), author)


def parse_poll_results(results: object, poll_id: str, chat: str, ms: int, envelope: Envelope) -> Iterator[Fact]:
    """Yield the votes of a poll whose record or update lists the voters of each option.

    Args:
        results: `pollUpdates`: a list of options, each with its name and its voters' addresses.
        poll_id: the key id of the poll's message.
        chat: the key of the chat's address, or "".
        ms: the time of the results, in ms since the epoch.
        envelope: names the instance's own address.
    """
    chosen: dict[Address, list[str]] = {}
    for name, voters in _options(results):
        for voter in voters:
            chosen.setdefault(voter, []).append(name)
    for voter, names in chosen.items():
        author = None if envelope.owner is not None and voter.key == envelope.owner.key else voter
        yield from _by_author(MessageUpdate(poll_id, "poll", ms, {"options": sorted(names)}, chat), author)


def _by_author(update: MessageUpdate, author: Address | None) -> Iterator[Fact]:
    """Yield the update with its author set, or nothing if it has no key id."""
    if update.key_id:
        subject, who = (author.key, author.jid) if author else (ME, ME)
        yield replace(update, subject=subject, value={**update.value, "who": who})


def _id(key: object) -> str:
    return coerce.key_id(key.get("id")) if isinstance(key, dict) else ""


def _sent_ms(body: Json, fallback_ms: int) -> int:
    return coerce.epoch_ms(body.get("senderTimestampMs")) or fallback_ms


def _options(results: object) -> Iterator[tuple[str, list[Address]]]:
    for option in coerce.as_list(results):
        if isinstance(option, dict) and isinstance(option.get("name"), str):
            voters = [jid.parse(voter) for voter in coerce.as_list(option.get("voters"))]
            yield option["name"], [voter for voter in voters if voter is not None]
