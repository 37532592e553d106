"""However a search for messages reads rows, its pages show what a comparison of all texts finds, in the same order."""

import datetime as dt
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.db.keyset import cursor_at
from conversations.models import Instance, Message
from conversations.models.message import LATEST_FIRST
from conversations.search import find, steps
from conversations.search.buckets import DAYS
from conversations.search.find import message_pks
from conversations.search.folding import fold
from conversations.search.lexemes import LONG
from conversations.search.query import Query, Word, parse
from tests.conversations.rows import NOON, a_chat, an_instance
from tests.effort import effort

pytestmark = pytest.mark.django_db

MESSAGES = 300
BUCKETS = 6  # of time, over which the messages are spread
# The first words are the most frequent ones; some begin with others.
WORDS = ("bom", "bomba", "pedido", "pedidos", "ação", "AÇÕES", "João", "a", "entrega", "amanhã", "12", "raro")
SEARCHED = ("bom", "ped", "pedido", "acao", "joao", "a", "entrega", "amanha", "raro", "nada")

# The limits that decide how rows are read; small ones let few rows count as many.
LIMITS = {
    (find, "FREQUENT"): st.sampled_from([0, 5, 999]),
    (find, "CANDIDATES"): st.sampled_from([0, 3, 20, 2_000]),
    (steps, "STEPS"): st.sampled_from([((1, 1),), ((2, 10), (20, 20)), ((10, 1), (2_000, 5_000))]),
}


@pytest.fixture
def instances() -> list[Instance]:
    """Return three instances with messages, of which the first has the most."""
    chats = [a_chat(an_instance()) for _ in range(3)]
    chosen = random.Random(2026)
    rows = []
    for number in range(MESSAGES):
        chat = chats[chosen.choice((0, 0, 0, 1, 1, 2))]
        words = chosen.choices(WORDS, range(len(WORDS), 0, -1), k=chosen.randrange(5))
        time = NOON - dt.timedelta(days=chosen.randrange(BUCKETS * DAYS))
        fields = {"from_me": False, "kind": "text", "is_deleted": number % 20 == 0}
        text = " ".join(words) + " é" * (LONG // 2 if number % 5 == 0 else 0)  # PostgreSQL has an index of long texts
        row = Message(instance=chat.instance, conversation=chat, timestamp=time, text=text, **fields)
        row.key_id = f"3EB0{number}"
        rows.append(row)
    Message.objects.bulk_create(rows)
    return [chat.instance for chat in chats]


def has(text: str, word: Word) -> bool:
    return any(part.startswith(word.text) if word.is_prefix else part == word.text for part in fold(text).split())


def expected_pks(query: Query, scope: list[int] | None) -> list[int]:
    """Return the primary keys of all matching messages, found without an index."""
    rows = Message.objects.scoped_to(scope).filter(is_deleted=False).order_by(*LATEST_FIRST)
    (words,) = query.texts
    return [pk for pk, text in rows.values_list("pk", "text") if all(has(text, word) for word in words)]


@settings(max_examples=effort(40, 1000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_pages_show_what_a_comparison_of_all_texts_finds(instances: list[Instance], data: st.DataObject) -> None:
    query = parse(" ".join(data.draw(st.lists(st.sampled_from(SEARCHED), min_size=1, max_size=3, unique=True))))
    scope = data.draw(st.sampled_from([None, *([row.pk for row in instances[:n]] for n in (1, 2, 3))]))
    limit = data.draw(st.sampled_from([1, 7, MESSAGES]))
    expected = expected_pks(query, scope)
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), values in LIMITS.items():
            patch.setattr(module, name, data.draw(values))
        start = data.draw(st.integers(0, len(expected)))
        cursor = cursor_at(Message.objects.get(pk=expected[start - 1]), LATEST_FIRST, "next") if start else ""
        assert message_pks(query, scope, cursor=cursor, limit=limit) == expected[start : start + limit]
