"""A sanitized webhook body contains no credentials, and every supported database can store it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.sanitize import MASK, sanitize


def test_credentials_are_masked_at_any_depth() -> None:
    body = {"apikey": "A", "api_key": "B", "data": [{"Token": "C"}], "destination": "https://x/y?token=D"}
    assert sanitize(body) == {"apikey": MASK, "api_key": MASK, "data": [{"Token": MASK}], "destination": "https://x/y"}


def test_a_credential_that_is_null_stays_null() -> None:
    assert sanitize({"apikey": None}) == {"apikey": None}


def test_characters_that_databases_reject_are_removed() -> None:
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
def test_any_result_is_storable_and_does_not_change_when_sanitized_again(value: Any) -> None:
    once = sanitize(value)
    text = json.dumps(once, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert sanitize(once) == once
