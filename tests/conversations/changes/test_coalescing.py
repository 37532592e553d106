"""Changes of one row are one step, and a reader may stop after any step."""

from hypothesis import given
from hypothesis import strategies as st

from conversations.changes.coalescing import coalesce
from conversations.changes.log import Entry

rows = st.lists(st.integers(1, 4), max_size=12)


def entries(pks: list[int]) -> list[Entry]:
    return [Entry(7, n, 1, None, pk, "contact", "updated") for n, pk in enumerate(pks, start=1)]


@given(rows)
def test_there_is_one_step_for_each_row_and_the_last_ends_at_the_end(pks: list[int]) -> None:
    steps = coalesce(entries(pks))
    assert [step.entry.row_id for step in steps] == list(dict.fromkeys(pks))
    assert not pks or steps[-1].end == (7, len(pks))


@given(rows, st.integers(1, 4))
def test_what_follows_a_step_has_all_rows_that_it_does_not_cover(pks: list[int], count: int) -> None:
    steps = coalesce(entries(pks))[:count]
    covered = {step.entry.row_id for step in steps}
    rest = {entry.row_id for entry in entries(pks) if not steps or entry.position > steps[-1].end}
    assert set(pks) == covered | rest


def test_a_row_that_moves_is_named_with_its_last_conversation() -> None:
    first = Entry(7, 1, 1, 10, 5, "message", "deleted")
    (step,) = coalesce([first, first._replace(id=2, conversation_id=11, kind="updated")])
    assert (step.entry.kind, step.entry.conversation_id, step.end) == ("deleted", 11, (7, 2))
