"""The first rows of a list with parts; `test_keyset.py` tests their order, `test_indexes.py` their query plans."""

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from conversations.db import parts
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.db.parts import Parts, first_rows
from conversations.models import Conversation
from tests.conversations.rows import a_group, an_instance

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", [0, 1, 2, parts.MAX_PARTS + 1])
def test_any_number_of_parts_is_one_query(number: int) -> None:
    chats = [a_group(an_instance()) for _ in range(3)]
    values = [chat.instance_id for chat in chats[:2]]
    values = [*values, *range(-number, -1)][:number]
    rows = Parts(Conversation.objects.filter(kind="group"), "instance", values)
    with CaptureQueriesContext(connection) as queries:
        found, _ = first_rows(rows, ("-id",), 5, MAX_PAGE_BYTES)
    assert found == chats[: min(number, 2)][::-1]
    assert len(queries) <= 1


def test_parts_of_a_condition_that_is_never_true_are_empty() -> None:
    chat = a_group(an_instance())
    rows = Parts(Conversation.objects.all(), "instance", [chat.instance_id, 0]).filter(Q(pk__in=[]))
    assert first_rows(rows, ("-id",), 5, MAX_PAGE_BYTES) == ([], False)
