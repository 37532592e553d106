"""Reactions and votes change their author, and are found without reading all messages."""

import pytest
from django.db import connection

from conversations.ingest.apply.statements import replace_subjects
from conversations.models import Message
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db


def reaction(emoji: str, at: int) -> dict[str, object]:
    return {"emoji": emoji, "who": "x", "at": at}


def test_of_two_reactions_of_one_author_the_latest_counts() -> None:
    instance = an_instance()
    row = a_message(a_chat(instance), reactions={"1": reaction("👍", 2), "2": reaction("❤", 1), "3": reaction("🙏", 1)})
    replace_subjects(instance, {"1": "2", "3": "me"})
    assert Message.objects.get(pk=row.pk).reactions == {"2": reaction("👍", 2), "me": reaction("🙏", 1)}


def test_votes_change_their_author_and_other_messages_and_instances_stay() -> None:
    instance = an_instance()
    vote = {"options": ["a"], "who": "x", "at": 1}
    poll, other = a_message(a_chat(instance), poll_results={"1": vote}), a_message(a_chat(instance))
    foreign = a_message(a_chat(an_instance(name="other")), poll_results={"1": vote})
    before = other.updated_at
    replace_subjects(instance, {"1": "2"})
    replace_subjects(instance, {})
    assert Message.objects.get(pk=poll.pk).poll_results == {"2": vote}
    assert Message.objects.get(pk=foreign.pk).poll_results == {"1": vote}
    assert Message.objects.get(pk=other.pk).updated_at == before


def test_thousands_of_authors_can_change_at_once() -> None:
    instance = an_instance()
    rows = [a_message(a_chat(instance), reactions={str(n): reaction("👍", n)}) for n in (1, 1500)]
    replace_subjects(instance, {str(n): "me" for n in range(1, 1501)})
    shown = [Message.objects.get(pk=row.pk).reactions for row in rows]
    assert shown == [{"me": reaction("👍", 1)}, {"me": reaction("👍", 1500)}]


def test_the_search_uses_the_index_of_messages_with_reactions_or_votes() -> None:
    rows = Message.objects.with_statements_of(an_instance(), ["1"])
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "message_with_statements" in rows.explain()
