"""Each reaction and each poll vote belongs to one person and one message."""

import json
from typing import Any

import pytest

from conversations.evolution import votes
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.facts import MessageUpdate
from tests.conversations.evolution.envelopes import GROUP, LID, OWNER, PHONE, address, envelope

CHAT, CONTACT, PERSON = address(GROUP), address(PHONE), address(LID)


def poll_update(author: str, who: str, *options: str, at: int = 5) -> MessageUpdate:
    return MessageUpdate("P1", "poll", at, {"options": list(options), "who": who}, CHAT.key, subject=author)


def test_a_reaction_has_its_author_and_its_own_time() -> None:
    body = {"key": {"id": "A1", "remoteJid": OWNER}, "text": "👍", "senderTimestampMs": "1765458000000"}
    value = {"emoji": "👍", "who": PHONE}
    expected = MessageUpdate("A1", "reaction", 1765458000000, value, CHAT.key, subject=CONTACT.key)
    assert list(votes.parse_reaction(body, CHAT, CONTACT, 1765458001000)) == [expected]


def test_a_reaction_of_a_phone_whose_clock_is_ahead_has_the_time_of_its_message() -> None:
    body = {"key": {"id": "A1", "remoteJid": OWNER}, "text": "👍", "senderTimestampMs": "1865458000000"}
    (update,) = votes.parse_reaction(body, CHAT, CONTACT, 1765458001000)
    assert isinstance(update, MessageUpdate)
    assert update.rank_or_ms == 1765458001000


def test_a_removed_reaction_has_an_empty_emoji() -> None:
    (update,) = votes.parse_reaction({"key": {"id": "A1"}, "text": ""}, CHAT, None, 5)
    assert isinstance(update, MessageUpdate)
    assert (update.rank_or_ms, update.subject, update.value) == (5, "me", {"emoji": "", "who": "me"})


def test_a_reaction_to_no_message_is_ignored() -> None:
    assert list(votes.parse_reaction({"text": "👍"}, CHAT, CONTACT, 5)) == []


def vote(body: dict[str, Any], results: object = None) -> list[Any]:
    return list(votes.parse_vote({"pollCreationMessageKey": {"id": "P1"}} | body, results, CHAT, CONTACT, 5))


def test_a_decrypted_vote_has_its_options() -> None:
    assert vote({"vote": {"selectedOptions": ["B", "A", 7]}}) == [poll_update(CONTACT.key, PHONE, "A", "B")]
    assert vote({"vote": {"selectedOptions": []}}) == [poll_update(CONTACT.key, PHONE)]


def test_a_vote_is_bounded_and_has_each_option_once() -> None:
    """A vote for 9,000 options took a megabyte in the row of its poll, and each page with the poll sent it."""
    names = [f"{number:04} " + "x" * 1000 for number in range(9000)]
    results = [{"name": name, "voters": [LID]} for name in names]
    found = [*vote({"vote": {"selectedOptions": names}}), *votes.parse_poll_results(results, "P1", "", 5, envelope())]
    for update in found:
        options = update.value["options"]
        assert len(options) == votes.MAX_OPTIONS
        assert max(map(len, options)) == votes.MAX_OPTION_CHARS
    assert len(found) == 2
    assert vote({"vote": {"selectedOptions": ["A", "A"]}}) == [poll_update(CONTACT.key, PHONE, "A")]


def test_the_votes_of_an_event_are_bounded_in_characters_of_json() -> None:
    """Options are sent once for all voters, and stored once for each: 189 kB of votes became a row of 24 MB."""
    emojis = [chr(0x1F600 + number) * 200 for number in range(12)]
    (one,) = vote({"vote": {"selectedOptions": emojis}})
    assert one.value["options"] == [emojis[0][: votes.MAX_OPTION_CHARS]]
    plain = [f"{number:02}" + "x" * 200 for number in range(12)]
    (one,) = vote({"vote": {"selectedOptions": plain}})
    assert one.value["options"] == [name[: votes.MAX_OPTION_CHARS] for name in plain]
    results = [{"name": name, "voters": [f"{voter}@lid" for voter in range(900)]} for name in plain]
    found: list[Any] = []
    with pytest.raises(UnknownShapeError):
        found.extend(votes.parse_poll_results(results, "P1", "", 5, envelope()))
    sizes = [len(json.dumps(update.value["options"])) for update in found]
    assert max(sizes) <= votes.MAX_VOTE_JSON
    assert votes.MAX_VOTES_JSON - votes.MAX_VOTE_JSON < sum(sizes) <= votes.MAX_VOTES_JSON


def test_a_reaction_is_one_emoji() -> None:
    (update,) = votes.parse_reaction({"key": {"id": "A1"}, "text": "😀" * 1000}, CHAT, None, 5)
    assert isinstance(update, MessageUpdate)
    assert len(update.value["emoji"]) == votes.MAX_EMOJI_CHARS


def test_an_encrypted_vote_is_taken_from_the_poll_s_results() -> None:
    results = [{"name": "A", "voters": [PHONE]}, {"name": "B", "voters": []}]
    assert vote({"vote": {"encPayload": {}}}, results) == [poll_update(CONTACT.key, PHONE, "A")]
    assert vote({"vote": {"encPayload": {}}}) == []


def test_poll_results_give_one_vote_per_person() -> None:
    results = [{"name": "B", "voters": [LID, OWNER]}, {"name": "A", "voters": [LID]}, {"name": "C", "voters": []}]
    assert list(votes.parse_poll_results(results, "P1", CHAT.key, 5, envelope())) == [
        poll_update(PERSON.key, LID, "A", "B"),
        poll_update("me", "me", "B"),
    ]
