"""Tests each merge rule of messages, latest-state values and memberships with examples and with properties."""

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.evolution import coerce
from conversations.evolution.facts import MessageUpdate
from conversations.ingest.apply import merge_rules
from conversations.models import Message, Participant

Copy = dict[str, Any]
Fact = Copy | MessageUpdate

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
LATEST = NOON + dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


def copy(**values: Any) -> Copy:
    """Build the parsed copy of a message; like the parser, derive the copy's precedence from its content."""
    content: Copy = {
        "sender_id": None,
        "sender_name": "",
        "source": "",
        "kind": "text",
        "media": {},
        "details": {},
        "quoted_key_id": "",
        "quoted_sender": "",
        "quoted_text": "",
        "text": "oi",
    }
    flags = {"timestamp": NOON, "sent_order": 0, "status": 0, "is_history": False, "from_device": False}
    content |= {name: value for name, value in values.items() if name in content}
    precedence = values.get("precedence", coerce.canonical_json(content))
    return (
        content | flags | {name: value for name, value in values.items() if name in flags} | {"precedence": precedence}
    )


def update(kind: str, rank_or_ms: int = 0, subject: str = "", **value: Any) -> MessageUpdate:
    return MessageUpdate("M1", kind, rank_or_ms, value, subject=subject)


def merged(*facts: Fact) -> Message:
    """Merge parsed copies and updates into a new message row; return the row."""
    row = Message(key_id="M1", from_me=False, timestamp=LATEST)
    for fact in facts:
        if isinstance(fact, MessageUpdate):
            merge_rules.merge_update(row, fact, fact.subject)
        else:
            merge_rules.merge_copy(row, fact)
    return row


def values(row: Message) -> dict[str, Any]:
    return merge_rules.snapshot(row)


# --- copies -----------------------------------------------------------------------------------------------------------
def test_a_row_shows_the_copy_with_the_least_precedence() -> None:
    better, worse = copy(precedence="1", text="better"), copy(precedence="2", text="worse")
    assert merged(worse, better).text == merged(better, worse).text == "better"


def test_a_row_takes_all_copy_fields_from_the_same_copy() -> None:
    content: Copy = {
        "sender_id": None,
        "sender_name": "Ana",
        "source": "",
        "kind": "image",
        "media": {"size": 1},
        "details": {},
        "quoted_key_id": "Q1",
        "quoted_sender": "",
        "quoted_text": "quoted",
    }
    better = copy(precedence="1", **content)
    worse = copy(precedence="2", sender_id=1, source="ios", details={"a": 1}, quoted_sender="bob", quoted_text="other")
    row = merged(worse, better)
    assert {name: getattr(row, name) for name in content} == content


def test_the_earliest_timestamp_of_all_copies_wins() -> None:
    early, late = copy(precedence="2", timestamp=NOON), copy(precedence="1", timestamp=NOON + SECOND)
    assert merged(early, late).timestamp == merged(late, early).timestamp == NOON


def test_the_highest_status_of_all_copies_wins() -> None:
    read, sent = copy(precedence="2", status=Message.Status.READ), copy(precedence="1", status=Message.Status.SENT)
    assert merged(read, sent).status == merged(sent, read).status == Message.Status.READ


def test_one_copy_from_a_device_is_enough() -> None:
    is_set, is_unset = copy(precedence="2", from_device=True), copy(precedence="1")
    assert merged(is_set, is_unset).from_device
    assert merged(is_unset, is_set).from_device


def test_a_message_is_history_until_it_has_a_live_copy() -> None:
    history, live = copy(precedence="2", is_history=True), copy(precedence="1")
    assert merged(history).is_history
    assert merged(history, history).is_history
    assert not merged(history, live).is_history
    assert not merged(live, history).is_history


def test_the_least_known_order_of_all_copies_wins() -> None:
    unknown, early, late = copy(), copy(sent_order=7), copy(sent_order=9)
    assert merged(unknown).sent_order == 0
    assert merged(late, unknown, early).sent_order == merged(early, late).sent_order == 7


# --- updates ----------------------------------------------------------------------------------------------------------
def test_a_status_update_only_raises_the_status() -> None:
    read, delivered = update("status", Message.Status.READ), update("status", Message.Status.DELIVERED)
    assert merged(copy(), read, delivered).status == Message.Status.READ
    assert merged(copy(), delivered, read).status == Message.Status.READ


def test_an_edit_replaces_the_text_and_keeps_the_original_one() -> None:
    row = merged(copy(text="oi"), update("edit", 5, text="olá"))
    assert (row.text, row.original_text, row.edited_at) == ("olá", "oi", coerce.from_ms(5))


def test_a_copy_after_an_edit_sets_only_the_original_text() -> None:
    row = merged(update("edit", 5, text="olá"), copy(text="oi"))
    assert (row.text, row.original_text) == ("olá", "oi")


def test_the_latest_edit_wins() -> None:
    first, second = update("edit", 5, text="z"), update("edit", 6, text="a")
    for row in (merged(copy(), first, second), merged(copy(), second, first)):
        assert (row.text, row.original_text, row.edited_at) == ("a", "oi", coerce.from_ms(6))


def test_a_stated_time_of_an_edit_beats_an_estimated_one() -> None:
    first, second = update("edit", 5, text="20"), update("edit", 6, text="30")
    estimated = update("edit", 99, text="20", is_estimated=True)
    for order in itertools.permutations((first, estimated, second)):
        row = merged(copy(), *order)
        assert (row.text, row.edited_at, row.edited_at_is_estimated) == ("30", coerce.from_ms(6), False)
    assert merged(copy(), estimated).edited_at_is_estimated


def test_of_two_edits_at_the_same_time_the_greater_text_wins() -> None:
    a, b = update("edit", 5, text="a"), update("edit", 5, text="b")
    assert merged(copy(), a, b).text == merged(copy(), b, a).text == "b"


def test_details_of_the_latest_edit_are_kept_beside_those_of_the_copy() -> None:
    first, second = update("details", 5, start=1, is_canceled=True), update("details", 6, start=2)
    expected = {"start": 0, "edited": {"start": 2, "at": 6}}
    for row in (
        merged(copy(details={"start": 0}), first, second),
        merged(second, copy(details={"start": 0}), first),
        merged(first, second, copy(precedence="2", details={}), copy(precedence="1", details={"start": 0})),
    ):
        assert row.details == expected


def test_an_edit_of_details_leaves_the_text() -> None:
    row = merged(copy(text="oi"), update("details", 5, start=1))
    assert (row.text, row.edited_at) == ("oi", None)


def test_membership_in_an_album_changes_no_message() -> None:
    assert values(merged(copy(), update("album", 0, "K2"))) == values(merged(copy()))


def test_a_deletion_is_final() -> None:
    assert merged(copy(), update("delete"), copy(), update("edit", 5, text="olá")).is_deleted


def test_the_latest_reaction_of_a_subject_wins() -> None:
    heart, thumb = update("reaction", 5, "ana", emoji="❤"), update("reaction", 6, "ana", emoji="👍")
    expected = {"ana": {"emoji": "👍", "at": 6}}
    assert merged(copy(), heart, thumb).reactions == merged(copy(), thumb, heart).reactions == expected


def test_reactions_of_different_subjects_are_kept() -> None:
    row = merged(copy(), update("reaction", 5, "ana", emoji="❤"), update("reaction", 6, "bob", emoji="👍"))
    assert {subject: reaction["emoji"] for subject, reaction in row.reactions.items()} == {"ana": "❤", "bob": "👍"}


def test_a_removed_reaction_wins_over_a_reaction_of_the_same_time() -> None:
    heart, removed = update("reaction", 5, "ana", emoji="❤"), update("reaction", 5, "ana", emoji="")
    for row in (merged(copy(), heart, removed), merged(copy(), removed, heart)):
        assert row.reactions["ana"]["emoji"] == ""


def test_the_latest_vote_of_a_subject_wins() -> None:
    first, second = update("poll", 5, "ana", options=["b"]), update("poll", 6, "ana", options=["a"])
    expected = {"ana": {"options": ["a"], "at": 6}}
    assert merged(copy(), first, second).poll_results == merged(copy(), second, first).poll_results == expected


def test_votes_of_different_subjects_are_kept() -> None:
    row = merged(copy(), update("poll", 5, "ana", options=["a"]), update("poll", 6, "bob", options=["b"]))
    assert {subject: vote["options"] for subject, vote in row.poll_results.items()} == {"ana": ["a"], "bob": ["b"]}


def test_an_unknown_kind_of_update_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        merged(copy(), update("poke"))


# --- two rows of one message ------------------------------------------------------------------------------------------
def test_merging_two_rows_equals_merging_all_their_facts_into_one_row() -> None:
    first: list[Fact] = [
        copy(precedence="2", status=4),
        update("edit", 5, text="olá"),
        update("delete"),
        update("details", 5, start=2),
    ]
    second: list[Fact] = [
        copy(precedence="1", text="outro", timestamp=NOON - SECOND),
        update("edit", 4, text="antes"),
        update("details", 4, start=1),
        update("reaction", 6, "ana", emoji="❤"),
        update("poll", 6, "ana", options=["a"]),
    ]
    row = merged(*first)
    merge_rules.merge_messages(row, merged(*second))
    assert values(row) == values(merged(*first, *second))
    assert (row.text, row.original_text, row.timestamp) == ("olá", "outro", NOON - SECOND)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_deletion_of_either_row_is_final(is_swapped: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    deleted, other = merged(copy(), update("delete")), merged(copy())
    row, merged_row = (other, deleted) if is_swapped else (deleted, other)
    merge_rules.merge_messages(row, merged_row)
    assert row.is_deleted


# --- which of two values wins -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "clock", "new", "new_clock", "is_newer"),
    [
        ("a", "1", "b", "2", True),
        ("b", "1", "a", "2", True),
        ("a", "2", "b", "1", False),
        ("a", "1", "b", "1", True),
        ("b", "1", "a", "1", False),
        ("a", "1", "a", "1", False),
        (None, "1", "a", "1", True),
        ("a", "1", None, "1", False),
        (None, "", "a", "", True),
    ],
)
def test_a_later_clock_wins_and_the_greater_value_on_equal_clocks(
    value: Any,
    clock: str,
    new: Any,
    new_clock: str,
    is_newer: bool,  # noqa: FBT001 - pytest passes the argument by keyword
) -> None:
    assert merge_rules.is_newer(value, clock, new, new_clock) is is_newer


def test_the_tie_breaker_ignores_the_order_of_members() -> None:
    assert merge_rules.tie_breaker({"a": 1, "b": 2}) == merge_rules.tie_breaker({"b": 2, "a": 1})


def test_no_value_is_less_than_any_value_in_the_tie_breaker() -> None:
    some: list[Any] = ["", 0, False, {}, []]
    assert all(merge_rules.tie_breaker(None) < merge_rules.tie_breaker(value) for value in some)


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        ({"clock": "2", "is_present": False, "role": ""}, {"clock": "1", "is_present": True, "role": "admin"}),
        ({"clock": "1", "is_present": True, "role": ""}, {"clock": "1", "is_present": False, "role": "admin"}),
        ({"clock": "1", "is_present": True, "role": "admin"}, {"clock": "1", "is_present": True, "role": ""}),
    ],
)
def test_of_two_memberships_the_later_one_wins_then_presence_then_the_greater_role(
    winner: dict[str, Any], loser: dict[str, Any]
) -> None:
    assert merge_rules.membership_order(Participant(**winner)) > merge_rules.membership_order(Participant(**loser))


def test_changed_fields_are_those_that_differ_from_the_snapshot() -> None:
    row = merged(copy())
    before = merge_rules.snapshot(row)
    assert merge_rules.changed_fields(row, before) == set()
    merge_rules.merge_update(row, update("edit", 5, text="olá"))
    assert merge_rules.changed_fields(row, before) == {"text", "original_text", "edited_at"}


@pytest.mark.parametrize(("kind", "field"), [("reaction", "reactions"), ("poll", "poll_results")])
def test_a_statement_is_merged_without_a_copy_of_the_others_and_is_seen_as_a_change(kind: str, field: str) -> None:
    row = merged(copy(), update(kind, 1, "ana", emoji="❤"))
    before, statements = merge_rules.snapshot(row), getattr(row, field)
    merge_rules.merge_update(row, update(kind, 2, "bob", emoji="❤"), "bob")
    assert getattr(row, field) is statements
    assert merge_rules.changed_fields(row, before) == {field}
    merge_rules.merge_update(row, update(kind, 1, "bob", emoji="👍"), "bob")
    assert statements["bob"]["emoji"] == "❤"


# --- properties -------------------------------------------------------------------------------------------------------
few_examples = settings(max_examples=30)
times, subjects = st.integers(1, 3), st.sampled_from(["ana", "bob", "me"])
texts = st.sampled_from(["", "a", "b", '"'])
copies = st.builds(
    copy,
    text=texts,
    kind=st.sampled_from(["text", "image"]),
    details=st.sampled_from([{}, {"start": 0}]),
    sender_id=st.sampled_from([None, 1]),
    timestamp=times.map(lambda seconds: NOON + seconds * SECOND),
    sent_order=st.integers(0, 3),
    status=st.sampled_from(Message.Status).map(int),
    is_history=st.booleans(),
    from_device=st.booleans(),
)
updates: dict[str, st.SearchStrategy[MessageUpdate]] = {
    "status": st.builds(update, st.just("status"), st.sampled_from(Message.Status).map(int)),
    "edit": st.builds(update, st.just("edit"), times, text=texts)
    | st.builds(update, st.just("edit"), times, text=texts, is_estimated=st.sampled_from([True])),
    "details": st.builds(update, st.just("details"), times, start=st.integers(0, 2)),
    "album": st.just(update("album", 0, "K2")),
    "delete": st.just(update("delete")),
    "reaction": st.builds(update, st.just("reaction"), times, subjects, emoji=st.sampled_from(["❤", "👍", ""])),
    "poll": st.builds(update, st.just("poll"), times, subjects, options=st.sampled_from([[], ["a"], ["a", "b"]])),
}
KINDS: dict[str, st.SearchStrategy[Fact]] = {"copy": copies, **updates, "any": st.one_of(copies, *updates.values())}


def histories(kind: str) -> st.SearchStrategy[list[Fact]]:
    """Return a strategy for lists of one kind of fact, with a copy first, because only a copy creates a message."""
    return st.builds(lambda first, others: [first, *others], copies, st.lists(KINDS[kind], max_size=5))


@pytest.mark.parametrize("kind", KINDS)
@few_examples
@given(data=st.data())
def test_merging_is_commutative(kind: str, data: st.DataObject) -> None:
    facts = data.draw(histories(kind))
    assert values(merged(*data.draw(st.permutations(facts)))) == values(merged(*facts))


@pytest.mark.parametrize("kind", KINDS)
@few_examples
@given(data=st.data())
def test_merging_is_idempotent(kind: str, data: st.DataObject) -> None:
    facts = data.draw(histories(kind))
    repeated = data.draw(st.lists(st.sampled_from(facts)))
    assert values(merged(*facts, *repeated)) == values(merged(*facts))


@pytest.mark.parametrize("kind", KINDS)
@few_examples
@given(data=st.data())
def test_merging_rows_is_associative(kind: str, data: st.DataObject) -> None:
    first, second, third = (data.draw(histories(kind)) for _ in range(3))
    left, right, tail = merged(*first), merged(*first), merged(*second)
    merge_rules.merge_messages(left, merged(*second))
    merge_rules.merge_messages(left, merged(*third))
    merge_rules.merge_messages(tail, merged(*third))
    merge_rules.merge_messages(right, tail)
    assert values(left) == values(right) == values(merged(*first, *second, *third))


@pytest.mark.parametrize("kind", KINDS)
@few_examples
@given(data=st.data())
def test_merging_rows_is_commutative_and_idempotent(kind: str, data: st.DataObject) -> None:
    first, second = (data.draw(histories(kind)) for _ in range(2))
    one, other = merged(*first), merged(*second)
    merge_rules.merge_messages(one, merged(*second))
    merge_rules.merge_messages(other, merged(*first))
    assert values(one) == values(other)
    merge_rules.merge_messages(one, merged(*second))
    assert values(one) == values(other)


registers = st.tuples(st.sampled_from([None, "", "a", "b", 1]), st.sampled_from(["", "1", "2"]))


@given(st.lists(registers, min_size=1, max_size=6), st.randoms())
def test_the_winner_among_clocked_values_does_not_depend_on_their_order(
    statements: list[tuple[Any, str]], random: Any
) -> None:
    def winner() -> tuple[Any, str]:
        value, clock = statements[0]
        for new, new_clock in statements[1:]:
            if merge_rules.is_newer(value, clock, new, new_clock):
                value, clock = new, new_clock
        return value, clock

    first = winner()
    statements += statements
    random.shuffle(statements)
    assert winner() == first


def test_a_message_has_the_reactions_and_votes_of_a_limited_number_of_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge_rules, "MAX_AUTHORS", 2, raising=False)
    row = Message(reactions={}, poll_results={})
    for kind, value in (("reaction", {"emoji": "👍"}), ("poll", {"options": ["a"]})):
        for author, at in (("1", 1), ("2", 1), ("3", 1), ("1", 2)):
            merge_rules.merge_update(row, MessageUpdate("A", kind, at, value), author)
    merge_rules.limit_statements(row)
    for statements in (row.reactions, row.poll_results):
        assert {author: statement["at"] for author, statement in statements.items()} == {"1": 2, "2": 1}


votes_by_author = st.dictionaries(
    st.sampled_from(["me", *(str(pk) for pk in range(5, 15))]), st.text("aã😀", max_size=30), min_size=2
)


@given(votes_by_author, st.integers(1, 6), st.randoms())
def test_the_votes_that_a_row_has_a_place_for_do_not_depend_on_their_order(
    votes: dict[str, str], parts: int, random: Any
) -> None:
    def limited(authors: list[str], parts: int) -> dict[str, Any]:
        row = Message(poll_results={}, reactions={})
        for start in range(parts):
            for author in authors[start::parts]:
                merge_rules.merge_update(row, MessageUpdate("A", "poll", 1, {"options": [votes[author]]}), author)
            merge_rules.limit_statements(row)
        return dict(row.poll_results)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_rules, "MAX_AUTHORS", 6)
        patch.setattr(merge_rules, "MAX_STATEMENTS_JSON", 500)
        first = limited(list(votes), 1)
        shuffled = [*votes, *votes]
        random.shuffle(shuffled)
        assert limited(shuffled, parts) == first
        assert len(first) <= 6
        assert sum(len(coerce.canonical_json(vote)) for vote in first.values()) < 500 + 450


def test_a_row_has_a_place_for_one_long_option_of_each_member_of_the_largest_group() -> None:
    row = Message(poll_results={}, reactions={})
    for pk in range(10**9, 10**9 + 1024):
        vote = {"options": ["x" * 100], "who": f"55119{pk}@s.whatsapp.net"}
        merge_rules.merge_update(row, MessageUpdate("A", "poll", 10**12, vote), str(pk))
    merge_rules.limit_statements(row)
    assert len(row.poll_results) == 1024
