from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from cachelayer.orm.managers import MAX_ID
from conversations.admin.inbox.query import STATES, ListQuery, parse, parse_id

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20).map(str.strip)
QUERIES = st.builds(
    ListQuery, number=st.integers(1, MAX_ID).map(str), state=st.sampled_from(list(STATES)), label=TEXTS, q=TEXTS,
    after=TEXTS,
)  # fmt: skip


@given(QUERIES)
def test_a_link_leads_to_the_list_for_which_it_was_made(query: ListQuery) -> None:
    _, _, text = query.url(5).partition("?")
    assert parse(QueryDict(text)) == query


@given(st.dictionaries(st.sampled_from(["number", "state", "label", "q", "after", "x"]), st.text(max_size=30)))
def test_any_parameters_give_a_list(values: dict[str, str]) -> None:
    query = parse(values)
    assert parse(QueryDict(query.text)) == query
    assert query.filters
    assert "\0" not in query.text


def test_an_id_is_a_positive_number_that_a_key_can_have() -> None:
    assert parse_id("7") == 7
    assert parse_id(str(MAX_ID)) == MAX_ID
    assert {parse_id(text) for text in ("", "0", "-1", "1.0", "²", "٣", "x", str(MAX_ID + 1), "9" * 100)} == {None}


def test_a_label_without_a_number_is_left_out_because_each_number_has_its_own() -> None:
    assert parse({"label": "3"}) == ListQuery()
    assert parse({"label": "3", "number": "2"}).label == "3"
