"""Reactions and votes change their author, and are found without reading all messages."""

import itertools

import pytest
from django.db import connection

from conversations.ingest.apply.statements import replace_subjects
from conversations.models import Instance, Message
from conversations.models.message import HAS_STATEMENTS
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db
VOTE = {"options": ["a"], "who": "x", "at": 1}


def reaction(emoji: str, at: int) -> dict[str, object]:
    return {"emoji": emoji, "who": "x", "at": at}


def replace(instance: Instance, subjects: dict[str, str]) -> None:
    replace_subjects(Message.objects.statements_of(instance, subjects), subjects)


def test_of_two_reactions_of_one_author_the_latest_counts() -> None:
    instance = an_instance()
    row = a_message(a_chat(instance), reactions={"1": reaction("👍", 2), "2": reaction("❤", 1), "3": reaction("🙏", 1)})
    replace(instance, {"1": "2", "3": "me"})
    assert Message.objects.get(pk=row.pk).reactions == {"2": reaction("👍", 2), "me": reaction("🙏", 1)}


def test_votes_change_their_author_and_other_messages_and_instances_stay() -> None:
    instance = an_instance()
    poll, other = a_message(a_chat(instance), poll_results={"1": VOTE}), a_message(a_chat(instance))
    foreign = a_message(a_chat(an_instance(name="other")), poll_results={"1": VOTE})
    before = other.updated_at
    replace(instance, {"1": "2"})
    replace(instance, {})
    assert Message.objects.get(pk=poll.pk).poll_results == {"2": VOTE}
    assert Message.objects.get(pk=foreign.pk).poll_results == {"1": VOTE}
    assert Message.objects.get(pk=other.pk).updated_at == before


def test_thousands_of_authors_can_change_at_once() -> None:
    instance = an_instance()
    rows = [a_message(a_chat(instance), reactions={str(n): reaction("👍", n)}) for n in (1, 1500)]
    replace(instance, {str(n): "me" for n in range(1, 1501)})
    shown = [Message.objects.get(pk=row.pk).reactions for row in rows]
    assert shown == [{"me": reaction("👍", 1)}, {"me": reaction("👍", 1500)}]


def test_the_reactions_and_votes_of_some_authors_are_found() -> None:
    instance = an_instance()
    both = a_message(a_chat(instance), reactions={"1": reaction("👍", 1)}, poll_results={"1": VOTE, "22": VOTE})
    one = a_message(a_chat(instance), reactions={"1": reaction("", 1), "2": reaction("👍", 1), "me": reaction("👍", 1)})
    a_message(a_chat(instance), reactions={"11": reaction("👍", 1)})
    found = Message.objects.statements_of(instance, ["1", "2", "3"])
    assert sorted(found) == [("1", both.pk), ("1", one.pk), ("2", one.pk)]
    assert Message.objects.statements_of(instance, []) == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite calls a progress handler at each step")
def test_reading_a_message_takes_as_much_work_for_many_authors_as_for_few() -> None:
    def steps(message_count: int, author_count: int) -> int:
        instance = an_instance()
        for _ in range(message_count):
            a_message(a_chat(instance), reactions={"1": reaction("👍", 1)})
        counted = itertools.count()
        connection.connection.set_progress_handler(lambda: next(counted) < 0, 1)
        try:
            Message.objects.statements_of(instance, [str(n) for n in range(1000, 1000 + author_count)])
        finally:
            connection.connection.set_progress_handler(None, 1)
        return next(counted)

    few, many = (steps(10, count) - steps(2, count) for count in (2, 200))
    assert many == few


def test_the_search_uses_the_index_of_messages_with_reactions_or_votes() -> None:
    rows = Message.objects.filter(HAS_STATEMENTS, instance=an_instance())
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "message_with_statements" in rows.explain()
