"""Searches find names, numbers and texts as people type them, in the order of the lists, page by page."""

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest

from cachelayer import Page
from conversations.db.keyset import InvalidCursor
from conversations.models import Contact, Conversation, Instance, Message
from conversations.models.message import LATEST_FIRST
from conversations.search import find, steps
from conversations.search.buckets import DAYS, bucket
from conversations.search.find import find_contacts, find_conversations, find_messages
from conversations.search.folding import fold
from conversations.search.lexemes import CONTACTS, MAX_INDEXED_INSTANCES, MESSAGES, Matches
from conversations.search.query import parse
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

NUMBER = "5512900000027"
WRITINGS = [
    "+55 (12) 90000-0027",
    "5512900000027",
    "12 90000-0027",
    "012 90000 0027",
    "(12)90000.0027",
    "90000-0027",
    "55 12 0000-0027",
    "12 0000-0027",
    "0000-0027",
    "0027",
    "5512 9000",
    "12 9000",
    "9000",
]


def texts(page: Page[Message]) -> list[str]:
    return [row.text for row in page.rows]


def names(page: Page[Any]) -> list[str]:
    return [row.name for row in page.rows]


# --- what is found ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Bom dia, João!", "joao"),
        ("Bom dia, João!", "JOÃO dia"),
        ("bom dia joao", "João"),
        ("AÇÃO de despejo", "acao"),
        ("ação", "Ação"),
        ("Jo\u0061\u0303o", "joão"),
        ("meus pedidos", "pedido"),
        ("linha\nnova", "nova"),
        ("veja exemplo.com.br/pao", "pao"),
        ("veja exemplo.com.br/pao", "exemplo"),
        ("me chame: (12) 90000-0027", "+55 12 90000 0027"),
        ("me chame: 12900000027", "012 0000-0027"),
        ("R$ 150,00", "150"),
        ("a" * 3000 + " fim", "fim"),
    ],
)
def test_a_message_is_found_by_its_words(text: str, query: str) -> None:
    chat = a_chat(an_instance())
    a_message(chat, text="outra coisa")
    a_message(chat, text=text)
    assert texts(find_messages(parse(query), None, limit=5)) == [text]


@pytest.mark.parametrize("query", ["oao", "jo", "joao pedro", "i1", "m642", "dia' | 'x", 'dia" OR "x', "content"])
def test_a_message_is_not_found_by_other_words(query: str) -> None:
    a_message(a_chat(an_instance()), text="Bom dia, João!")
    assert texts(find_messages(parse(query), None, limit=5)) == []


def test_deleted_messages_are_not_found() -> None:
    a_message(a_chat(an_instance()), text="segredo", is_deleted=True)
    assert texts(find_messages(parse("segredo"), None, limit=5)) == []


@pytest.mark.parametrize("query", WRITINGS)
@pytest.mark.parametrize("stored", [NUMBER, "551200000027"])
def test_a_contact_is_found_by_any_writing_of_its_number(stored: str, query: str) -> None:
    instance = an_instance()
    a_contact(instance, phone="551188887777")
    contact = a_contact(instance, phone=stored)
    chat = a_chat(instance, contact=contact)
    assert find_contacts(parse(query), instance, limit=5).rows == [contact]
    assert find_conversations(parse(query), instance, limit=5).rows == [chat]


@pytest.mark.parametrize("query", ["0028", "1290001", "13 90000-0027", "+55 (12) 90000-00270"])
def test_a_contact_is_not_found_by_another_number(query: str) -> None:
    a_contact(an_instance(), phone=NUMBER)
    assert find_contacts(parse(query), None, limit=5).rows == []


@pytest.mark.parametrize("query", ["+1 415 555 0132", "4155550132", "555 0132", "0132"])
def test_a_foreign_number_is_found_too(query: str) -> None:
    contact = a_contact(an_instance(), phone="14155550132")
    assert find_contacts(parse(query), None, limit=5).rows == [contact]


@pytest.mark.parametrize("query", ["joao", "Antônio", "totó", "JOAO antonio", "777000111"])
def test_a_contact_is_found_by_each_of_its_names(query: str) -> None:
    instance = an_instance()
    contact = a_contact(instance, name="João Antônio", saved_name="João Antônio", push_name="Totó", lid="777000111")
    chat = a_chat(instance, contact=contact)
    a_chat(instance, contact=a_contact(instance, name="Joana"))
    assert find_contacts(parse(query), None, limit=5).rows == [contact]
    assert find_conversations(parse(query), None, limit=5).rows == [chat]


def test_groups_are_found_by_name_among_the_other_conversations() -> None:
    instance = an_instance()
    chat = a_chat(instance, contact=a_contact(instance, name="Família Silva"), last_message_at=NOON)
    group = a_group(instance, name="FAMILIA", last_message_at=NOON + dt.timedelta(hours=1))
    a_group(instance, name="Trabalho")
    assert find_conversations(parse("família"), None, limit=5).rows == [group, chat]


def test_a_group_is_found_by_the_name_in_whatsapp_and_by_the_one_that_is_shown() -> None:
    group, other = a_group(an_instance(), name="Condomínio"), a_group(an_instance(), name="Família")

    def found(text: str) -> list[Conversation]:
        return find_conversations(parse(text), None, limit=5).rows

    Conversation.objects.change(group.pk, custom_name="Prédio")
    assert [found(text) for text in ("condominio", "predio", "predio condominio", "familia")] == [[group]] * 3 + [
        [other]
    ]
    Conversation.objects.filter(pk=group.pk).update(original_name="Vizinhos")
    assert [found(text) for text in ("condominio", "vizinhos", "predio")] == [[], [group], [group]]
    Conversation.objects.change(group.pk, custom_name=None)
    assert [found(text) for text in ("vizinhos", "predio")] == [[group], []]


# --- the index follows the rows ---------------------------------------------------------------------------------------
def test_an_edited_text_is_found_by_its_new_words_only() -> None:
    row = a_message(a_chat(an_instance()), text="antes")
    Message.objects.filter(pk=row.pk).update(text="depois")
    assert texts(find_messages(parse("antes"), None, limit=5)) == []
    assert texts(find_messages(parse("depois"), None, limit=5)) == ["depois"]
    Message.objects.filter(pk=row.pk).update(text="")
    assert texts(find_messages(parse("depois"), None, limit=5)) == []
    row.text = "outra vez"
    Message.objects.fast_bulk_update([row], ["text"])
    assert texts(find_messages(parse("outra"), None, limit=5)) == ["outra vez"]


def test_a_message_whose_time_changes_is_found_once() -> None:
    row = a_message(a_chat(an_instance()), text="viajante")
    Message.objects.filter(pk=row.pk).update(timestamp=NOON - dt.timedelta(days=900))
    assert texts(find_messages(parse("viajante"), None, limit=5)) == ["viajante"]


def test_a_renamed_contact_is_found_by_its_new_name_only() -> None:
    contact = a_contact(an_instance(), name="Ana")
    Contact.objects.filter(pk=contact.pk).update(name="Bia")
    assert find_contacts(parse("ana"), None, limit=5).rows == []
    assert find_contacts(parse("bia"), None, limit=5).rows == [contact]


def test_rows_that_are_deleted_in_sql_leave_nothing_behind() -> None:
    instance = an_instance()
    chat = a_chat(instance, contact=a_contact(instance, name="João"))
    a_group(instance, name="João")
    pk = a_message(chat, text="João").pk
    Instance.objects.filter(pk=instance.pk).delete()
    other = a_message(a_chat(an_instance()), pk=pk, text="Maria")
    assert find_messages(parse("maria"), None, limit=5).rows == [other]
    for search in (find_contacts, find_conversations, find_messages):
        assert search(parse("joao"), None, limit=5).rows == []


def test_many_rows_at_once_are_indexed() -> None:
    chat = a_chat(an_instance())
    fields = {"instance": chat.instance, "conversation": chat, "from_me": False, "kind": "text", "timestamp": NOON}
    Message.objects.fast_bulk_create([Message(key_id=str(n), text=f"lote {n}", **fields) for n in range(3)])
    assert len(find_messages(parse("lote"), None, limit=5).rows) == 3


# --- access -----------------------------------------------------------------------------------------------------------
def test_only_rows_of_the_given_instances_are_found() -> None:
    instances = [an_instance() for _ in range(MAX_INDEXED_INSTANCES + 1)]
    for instance in instances:
        chat = a_chat(instance, contact=a_contact(instance, name="João"))
        a_message(chat, text="João")
    for search in (find_contacts, find_conversations, find_messages):
        for scope in ((), (instances[0].pk,), tuple(row.pk for row in instances[:2]), [row.pk for row in instances]):
            found = {row.instance_id for row in search(parse("joao"), scope, limit=99).rows}
            assert found == set(scope)
        assert len(search(parse("joao"), None, limit=99).rows) == len(instances)


# --- pages ------------------------------------------------------------------------------------------------------------
def all_pages(search: Callable[..., Page[Any]], limit: int) -> list[int]:
    found: list[int] = []
    cursor = ""
    while True:
        page = search(parse("pedido"), None, cursor=cursor, limit=limit)
        assert len(page.rows) <= limit
        found += [row.pk for row in page.rows]
        cursor = page.next_cursor
        if not cursor:
            return found


def many_messages() -> list[int]:
    """Create matching messages over years, several of them at the same time; return them in the expected order."""
    chat = a_chat(an_instance())
    for days in (0, 0, 0, 1, 31, 33, 34, 70, 150, 151, 300, 700, 701, 1500):
        a_message(chat, text=f"pedido de {days}", timestamp=NOON - dt.timedelta(days=days))
        a_message(chat, text="outra coisa", timestamp=NOON - dt.timedelta(days=days))
    rows = Message.objects.filter(text__startswith="pedido")
    return list(rows.order_by(*LATEST_FIRST).values_list("pk", flat=True))


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_all_pages_together_show_each_message_once_in_order(limit: int) -> None:
    expected = many_messages()
    assert all_pages(find_messages, limit) == expected


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize(
    ("frequent", "candidates", "tried"),
    [
        (1, 9, ((2, 5_000),)),
        (1, 9, ((2, 1), (4, 5_000))),
        (99, 9, ((2, 1),)),
        (99, 2, ((2, 5_000),)),
        (99, 0, ((2, 1), (100, 1))),
    ],
    ids=["in order", "in order, one row", "few matches", "too many in a group of buckets", "too many in a bucket"],
)
def test_a_frequent_word_is_found_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, frequent: int, candidates: int, tried: tuple[tuple[int, int], ...], limit: int
) -> None:
    monkeypatch.setattr(steps, "STEPS", tried)
    monkeypatch.setattr(find, "CANDIDATES", candidates)
    monkeypatch.setattr(find, "FREQUENT", frequent)
    expected = many_messages()
    assert all_pages(find_messages, limit) == expected
    instance = an_instance()
    for number in range(7):
        contact = a_contact(instance, name=f"Pedido {number % 3}")
        a_chat(instance, contact=contact, last_message_at=NOON - dt.timedelta(days=number))
        a_chat(instance, contact=a_contact(instance, name="Ana"), last_message_at=NOON)
        a_group(instance, name="pedidos", last_message_at=NOON - dt.timedelta(days=number % 4))
    contacts = Contact.objects.filter(name__startswith="Pedido").order_by("-pk")
    assert all_pages(find_contacts, limit) == list(contacts.values_list("pk", flat=True))
    chats = Conversation.objects.filter(name__istartswith="pedido").order_by("-last_message_at", "-pk")
    assert all_pages(find_conversations, limit) == list(chats.values_list("pk", flat=True))


BUCKETS = 12


@pytest.mark.parametrize(
    ("candidates", "statements"),
    [(5, BUCKETS), (1, BUCKETS + 1)],
    ids=["as many buckets as have few candidates", "too many candidates in one bucket"],
)
def test_hardly_any_rows_are_read_in_vain(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any, candidates: int, statements: int
) -> None:
    """Each bucket has two candidates. Three more statements read the times and the sample."""
    monkeypatch.setattr(find, "CANDIDATES", candidates)
    chat = a_chat(an_instance())
    for number in range(BUCKETS * 2):
        a_message(chat, text="pedido entregue", timestamp=NOON - dt.timedelta(days=DAYS * (number // 2)))
    monkeypatch.setattr(find, "FREQUENT", 99)
    with django_assert_num_queries(3 + statements):
        assert len(find.message_pks(parse("pedido entregue"), None, limit=50)) == BUCKETS * 2


@pytest.mark.parametrize("query", ["pedido", "pedido acao", "pedido acao joao", "acao joao maria"])
@pytest.mark.parametrize("candidates", [1, 4, 16, 2_000])
def test_each_way_of_reading_finds_the_messages_that_have_all_words(
    monkeypatch: pytest.MonkeyPatch, query: str, candidates: int
) -> None:
    chosen = random.Random(candidates)
    monkeypatch.setattr(find, "CANDIDATES", candidates)
    chats = [a_chat(an_instance()) for _ in range(2)]
    words = ("pedido", "acao", "joao", "maria", "nada")
    for _ in range(60):
        text = " ".join(chosen.sample(words, k=3))
        a_message(chosen.choice(chats), text=text, timestamp=NOON - dt.timedelta(days=chosen.randrange(DAYS * BUCKETS)))
    for frequent in (1, 99):
        monkeypatch.setattr(find, "FREQUENT", frequent)
        for scope in (None, chats[0].instance_id):
            rows = Message.objects.scoped_to(scope).order_by(*LATEST_FIRST)
            expected = [row.pk for row in rows if set(query.split()) <= set(row.text.split())]
            assert find.message_pks(parse(query), scope, limit=7) == expected[:7]
            assert find.message_pks(parse(query), scope, limit=99) == expected


TEXTS = (
    "Pedido com ação",
    "ação sem numero",
    "pedidos: 12 AÇÕES",
    "acao, pedido",
    "ação e pedido",  # a decomposed letter
    "\U0001d429edido ação",  # a styled letter
    "o pedido",
    "PEDIDO 12",
    "expedido ação 12",
    "pedido 129 a_ção",
)
SEARCHES = ("pedido", "acao", "pedido ação", "ação 12", "pedido 12 acao", "ped aca", "12", "pedido nada", "9 ação", "a")


@pytest.mark.postgresql
@pytest.mark.parametrize("query", SEARCHES)
@pytest.mark.parametrize("frequent", [0, 99])
def test_rows_that_are_read_in_order_match_like_those_from_the_index(
    monkeypatch: pytest.MonkeyPatch, query: str, frequent: int
) -> None:
    monkeypatch.setattr(find, "FREQUENT", frequent)
    instance = an_instance()
    for text in TEXTS:
        a_message(a_chat(instance, contact=a_contact(instance, name=text, phone="5511900000012")), text=text)
    words = parse(query)
    by_index = {
        model: set(model.objects.filter(Matches(index, alternatives, None, buckets)).values_list("pk", flat=True))
        for model, index, alternatives, buckets in (
            (Contact, CONTACTS, words.names, None),
            (Message, MESSAGES, words.texts, [bucket(NOON)]),
        )
    }
    for scope in (None, instance):
        for model, pks in ((Contact, find.contact_pks), (Message, find.message_pks)):
            found = by_index[model]
            limit = max(len(found), 1)  # reading in order succeeds only if it fills the page
            assert set(pks(words, scope, limit=limit)) == found, model


def test_the_frequency_of_a_word_is_estimated_from_a_part_of_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[str] = []

    def fold_and_note(text: str) -> str:
        folded.append(text)
        return fold(text)

    monkeypatch.setattr(find, "fold", fold_and_note)
    chat = a_chat(an_instance())
    for _ in range(3):
        a_message(chat, text="açúcar " * 9_000)
    assert len(find.message_pks(parse("açúcar"), None, limit=5)) == 3
    assert 0 < sum(map(len, folded)) <= 3 * find.SAMPLE_CHARS


def test_a_cursor_of_another_list_is_refused() -> None:
    many_messages()
    page = find_messages(parse("pedido"), None, limit=1)
    with pytest.raises(InvalidCursor):
        find_contacts(parse("pedido"), None, cursor=page.next_cursor, limit=1)
    previous = Message.objects.for_instance(None, cursor=page.next_cursor, limit=1).previous_cursor
    with pytest.raises(InvalidCursor, match="no previous pages"):
        find_messages(parse("pedido"), None, cursor=previous, limit=1)
