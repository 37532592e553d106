"""What is stored has no credentials and nothing that a database refuses."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.sanitize import MASK, sanitize


def test_credentials_are_masked_wherever_they_stand() -> None:
    body = {"apikey": "A", "api_key": "B", "data": [{"Token": "C"}], "destination": "https://x/y?token=D"}
    assert sanitize(body) == {"apikey": MASK, "api_key": MASK, "data": [{"Token": MASK}], "destination": "https://x/y"}


def test_no_key_is_no_secret() -> None:
    assert sanitize({"apikey": None}) == {"apikey": None}


def test_characters_that_a_database_refuses_are_taken_out() -> None:
    assert sanitize({"a\x00": "b\x00c", "emoji": "\ud83d\udc4d", "lone": "x\ud83dy"}) == {
        "a": "bc",
        "emoji": "👍",
        "lone": "x\ufffdy",
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    )
)
def test_the_result_is_always_storable_and_stays_as_it_is(value: Any) -> None:
    once = sanitize(value)
    text = json.dumps(once, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert sanitize(once) == once
