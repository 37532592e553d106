"""A memo holds what was kept last, within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from cachelayer.protocol.memo import Memo


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=5)), max_size=30))
def test_a_memo_never_holds_more_than_its_bounds(kept: list[tuple[int, bytes]]) -> None:
    memo: Memo[int, bytes] = Memo(10, 3)
    for key, value in kept:
        memo.keep(key, value, len(value))
        assert memo[key] == value
        assert len(memo) <= 3
        assert sum(map(len, memo.values())) <= 10
