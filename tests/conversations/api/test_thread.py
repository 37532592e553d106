"""Requests for the messages around an anchor."""

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from cachelayer import cache
from conversations.models import Conversation, Message
from tests.conversations.api.conftest import ApiCall
from tests.conversations.rows import NOON, a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db


def ids(page: Any) -> list[int]:
    return [row["id"] for row in page["results"]]


def a_thread(length: int) -> tuple[Conversation, list[Message]]:
    chat = a_chat(an_instance())
    rows = [
        Message(
            instance_id=chat.instance_id,
            conversation=chat,
            key_id=f"3EB0{n:08}",
            from_me=False,
            kind="text",
            timestamp=NOON + dt.timedelta(minutes=n),
            quoted_key_id=f"3EB0{n - 3:08}" if n > 2 else "",
        )
        for n in range(length)
    ]
    return chat, Message.objects.bulk_create(rows)


def test_a_window_leads_to_the_rest_of_the_thread(api: APIClient, get: ApiCall) -> None:
    chat, rows = a_thread(9)
    pks, path = [row.pk for row in rows], f"conversations/{chat.pk}/messages/"
    window = get(path, anchor=pks[4], before=1, after=2, fields="id")
    assert ids(window) == [pks[6], pks[5], pks[4], pks[3]]
    assert (window["anchor_id"], window["found_oldest"], window["found_newest"]) == (pks[4], False, False)
    assert window["results"][0] == {"id": pks[6]}
    older, newer = api.get(window["next"]).json(), api.get(window["previous"]).json()
    assert (ids(older), ids(newer)) == ([pks[2], pks[1], pks[0]], [pks[8], pks[7]])
    assert "anchor_id" not in older
    cursor = parse_qs(urlsplit(window["next"]).query)["cursor"][0]
    assert ids(get(path, anchor="newest", cursor=cursor)) == ids(older)


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("newest", 8),
        ("first_unread", 5),
        ("2026-03-01", 0),
        ("2026-03-01T12:04:00Z", 4),
        ("2026-03-01T09:04:00-03:00", 4),
        ("2026-03-02", 8),
    ],
)
def test_an_anchor_is_named(get: ApiCall, anchor: str, expected: int) -> None:
    chat, rows = a_thread(9)
    Conversation.objects.filter(pk=chat.pk).update(read_until=rows[4].timestamp)
    window = get(f"conversations/{chat.pk}/messages/", anchor=anchor, before=0, after=0)
    assert ids(window) == [window["anchor_id"]] == [rows[expected].pk]


def test_a_quoted_message_is_one_request_away(get: ApiCall) -> None:
    chat, rows = a_thread(9)
    window = get(f"conversations/{chat.pk}/messages/", anchor=f"quoted:{rows[8].pk}")
    assert window["anchor_id"] == rows[5].pk
    assert len(ids(window)) == 9
    problem = get(f"conversations/{chat.pk}/messages/", status=404, anchor=f"quoted:{rows[0].pk}")
    assert problem["detail"] == "The anchor is no message of this conversation."


def test_a_message_of_another_conversation_is_not_found(get: ApiCall) -> None:
    chat, foreign = a_chat(an_instance()), a_message(a_chat(an_instance()))
    for anchor in (foreign.pk, foreign.pk + 1, f"quoted:{foreign.pk}"):
        get(f"conversations/{chat.pk}/messages/", status=404, anchor=anchor)


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ({"anchor": "first"}, "anchor", "invalid"),
        ({"anchor": ""}, "anchor", "invalid"),
        ({"anchor": "9" * 19}, "anchor", "invalid"),
        ({"anchor": "٣"}, "anchor", "invalid"),
        ({"anchor": "2026-02-30"}, "anchor", "invalid"),
        ({"anchor": "0001-01-01T00:00:00+14:00"}, "anchor", "invalid"),
        ({"anchor": "newest", "before": "-1"}, "before", "min_value"),
        ({"anchor": "newest", "after": "101"}, "after", "max_value"),
    ],
)
def test_a_wrong_parameter_is_named(get: ApiCall, query: dict[str, str], name: str, code: str) -> None:
    chat, _ = a_thread(1)
    (error,) = get(f"conversations/{chat.pk}/messages/", status=400, **query)["errors"]
    assert (error["name"], error["code"]) == (name, code)


@pytest.mark.parametrize("anchor", ["newest", "first_unread", "2026-03-01", "middle", "quoted"])
def test_the_number_of_queries_does_not_depend_on_the_thread(get: ApiCall, anchor: str) -> None:
    counts = []
    for length in (10, 500):
        chat, rows = a_thread(length)
        named = {"middle": str(rows[length // 2].pk), "quoted": f"quoted:{rows[length // 2].pk}"}
        cache.clear_all()
        with CaptureQueriesContext(connection) as queries:
            get(f"conversations/{chat.pk}/messages/", anchor=named.get(anchor, anchor), expand="sender", after=100)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


LONG = 10_000
FILL = """
INSERT INTO conversations_message (instance_id, conversation_id, key_id, from_me, sender_name, timestamp, sent_order,
    status, source, kind, text, media, details, quoted_key_id, quoted_sender, quoted_text, original_text,
    edited_at_is_estimated, is_deleted, reactions, poll_results, is_history, from_device, precedence, created_at,
    updated_at)
SELECT %s, %s, '3EB0' || n, false, '', now() - n * interval '1 minute', 0, 4, '', 'text', '', '{}', '{}',
    CASE WHEN n = 1 THEN '3EB0' || %s ELSE '' END, '', '', '', false, false, '{}', '{}', false, false, '', now(), now()
FROM generate_series(1, %s) AS n
"""


@pytest.mark.postgresql
def test_a_jump_to_a_quoted_message_reads_a_long_thread_by_index_in_as_many_queries_as_a_short_one(
    get: ApiCall,
) -> None:
    statements: list[list[str]] = []
    for length in (LONG, 10):
        chat = a_chat(an_instance())
        with connection.cursor() as cursor:
            cursor.execute(FILL, [chat.instance_id, chat.pk, length // 2, length])
            cursor.execute("ANALYZE conversations_message")
        quoting, quoted = (chat.messages.get(key_id=f"3EB0{n}") for n in (1, length // 2))
        get("instances/")  # reads the token
        with CaptureQueriesContext(connection) as queries:
            window = get(f"conversations/{chat.pk}/messages/", anchor=f"quoted:{quoting.pk}", before=2, after=2)
        assert (window["anchor_id"], len(window["results"])) == (quoted.pk, 5)
        statements.append([query["sql"] for query in queries if query["sql"].startswith("SELECT")])
    assert len(statements[0]) == len(statements[1])
    with connection.cursor() as cursor:
        for sql in statements[0]:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            is_by_index = "Seq Scan" not in plan and ("Sort" not in plan or "message_identity" in plan)
            assert is_by_index or "conversations_message" not in sql, plan
