"""Parses reactions and poll votes.

Each person has at most one reaction or vote per chat message. The latest reaction or vote of a person counts, and an
empty reaction or vote removes the previous one.
In a `MessageUpdate` of this module, `subject` is the address key of the person who reacts or votes. It is the key of
the LID if the event shows one, because a phone number can belong to several persons in turn. `value["who"]` is the JID
to show for this person. Both are `me` for the instance itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from conversations.evolution import clocks, coerce, jid
from conversations.evolution.coerce import Json
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import ME, Fact, MessageUpdate
from conversations.evolution.jid import Address
from conversations.evolution.marking import mark as _

# The row of a message contains what each person states about it, and is read for each of its events. So all of that is
# bounded. WhatsApp's polls have at most twelve options of a hundred characters, and its groups 1,024 members.
# Lengths of JSON are those of `canonical_json`, as on SQLite: an emoji has twelve characters.
MAX_OPTIONS = 12  # of one vote
MAX_OPTION_CHARS = 100
MAX_VOTE_JSON = 1_300  # characters of JSON; a vote for twelve long options without accents has 1,250
MAX_VOTERS = 1_024  # of one poll in one event; each gets a contact
MAX_VOTES_JSON = 2**17  # characters of JSON of their votes, each of which has its own copy of the options
MAX_EMOJI_CHARS = 32  # the longest emoji is a family of ten code points


def parse_reaction(body: Json, chat: Address, author: Address | None, message_ms: int) -> Iterator[Fact]:
    """Yield the fact of one person's reaction to a chat message.

    Args:
        body: the JSON value of the content key `reactionMessage`.
        chat: the chat of the message record; the chat in the reaction's own key may differ, because the key is written
            from the sender's point of view.
        author: the person who reacts; None for the instance.
        message_ms: the time of the message record in milliseconds since the epoch.
    """
    value = {"emoji": coerce.text(body.get("text"), MAX_EMOJI_CHARS)}
    update = MessageUpdate(_id(body.get("key")), "reaction", _sent_ms(body, message_ms), value, chat.key)
    yield from _by_author(update, author)


def parse_vote(body: Json, results: object, chat: Address, author: Address | None, message_ms: int) -> Iterator[Fact]:
    """Yield the fact of one person's vote in a poll.

    Args:
        body: the JSON value of the content key `pollUpdateMessage`. The chosen options in `body` are encrypted if
            Evolution was not able to decrypt them.
        results: the `pollUpdates` of the message record, used if the options in `body` are encrypted. In `results`, the
            person who votes is the only voter.
        chat: the chat of the message record.
        author: the person who votes; None for the instance.
        message_ms: the time of the message record in milliseconds since the epoch.
    """
    decrypted = body.get("vote")
    chosen = decrypted.get("selectedOptions") if isinstance(decrypted, dict) else None
    if not isinstance(chosen, list):
        if not isinstance(results, list):
            return
        chosen = [name for name, voters in _options(results) if voters]
    value = {"options": _chosen(name[:MAX_OPTION_CHARS] for name in chosen if isinstance(name, str))}
    poll_id, sent_ms = _id(body.get("pollCreationMessageKey")), _sent_ms(body, message_ms)
    yield from _by_author(MessageUpdate(poll_id, "poll", sent_ms, value, chat.key), author)


def parse_poll_results(results: object, poll_id: str, chat: str, ms: int, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of all votes in `pollUpdates`, which lists the voters of each option of a poll.

    Args:
        results: the JSON value of `pollUpdates`: a list of options, each with a name and the voters' addresses.
        poll_id: the key id of the chat message with the poll.
        chat: the key of the chat's address, or "".
        ms: the time of the results in milliseconds since the epoch.
        envelope: the envelope of the event, which contains the instance's own address.

    Raises:
        UnknownShapeError: there are too many voters, or their votes are too long together; those before were yielded.
    """
    chosen: dict[Address, list[str]] = {}
    for name, voters in _options(results):
        for voter in voters:
            chosen.setdefault(voter, []).append(name)
    left = MAX_VOTES_JSON
    for voter, names in islice(chosen.items(), MAX_VOTERS):
        options = _chosen(names)
        left -= _json_length(options)
        if left < 0:
            raise coerce.UnknownShapeError(_("the votes are too long, and the last ones were left out"))
        author = None if envelope.is_owner(voter) else voter
        yield from _by_author(MessageUpdate(poll_id, "poll", ms, {"options": options}, chat), author)
    coerce.require_at_most(MAX_VOTERS, chosen)


def _chosen(names: Iterable[str]) -> list[str]:
    """Return the options of one vote, as many as are within its bounds."""
    options: list[str] = []
    left = MAX_VOTE_JSON
    for name in sorted(set(names))[:MAX_OPTIONS]:
        left -= _json_length(name)
        if left < 0:
            break
        options.append(name)
    return options


def _json_length(value: object) -> int:
    return len(coerce.canonical_json(value))


def _by_author(update: MessageUpdate, author: Address | None) -> Iterator[Fact]:
    """Yield `update` with `author` as its subject, or nothing if `update` has no key id."""
    if update.key_id:
        subject, who = (author.lid or author.key, author.jid) if author else (ME, ME)
        yield replace(update, subject=subject, value={**update.value, "who": who})


def _id(key: object) -> str:
    return coerce.key_id(key.get("id")) if isinstance(key, dict) else ""


def _sent_ms(body: Json, message_ms: int) -> int:
    """Return when a person reacted or voted, by the person's phone; a phone whose clock is ahead is not believed.

    Args:
        body: the reaction or vote.
        message_ms: when WhatsApp received the reaction or vote, in milliseconds since the epoch.
    """
    ms = coerce.epoch_ms(body.get("senderTimestampMs"))
    return message_ms if ms is None or ms > message_ms + clocks.HOUR else ms


def _options(results: object) -> Iterator[tuple[str, list[Address]]]:
    for option in coerce.as_list(results):
        if isinstance(option, dict) and isinstance(option.get("name"), str):
            voters = [jid.parse(voter) for voter in coerce.as_list(option.get("voters"))]
            # Cut here, so that the votes of all voters share one text.
            yield option["name"][:MAX_OPTION_CHARS], [voter for voter in voters if voter is not None]
