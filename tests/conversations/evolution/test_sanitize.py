"""A sanitized webhook body contains no credentials, and every supported database can store it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.large_json.errors import TooDeepError
from conversations.evolution.large_json.texts import MAX_TEXT_LENGTH
from conversations.evolution.media_names import media_name
from conversations.evolution.sanitize import MASK, MAX_DEPTH, MAX_KNOWN_NAMES, sanitize

NAME = media_name(1, "ab" * 32)


def test_credentials_are_masked_at_any_depth() -> None:
    body = {"apikey": "A", "api_key": "B", "data": [{"Token": "C"}], "destination": "https://x/y?token=D"}
    assert sanitize(body) == {"apikey": MASK, "api_key": MASK, "data": [{"Token": MASK}], "destination": "https://x/y"}


def test_a_nul_character_does_not_hide_the_name_of_a_credential() -> None:
    assert sanitize({"api\x00key": "A", "x": {"tok\x00en": "B"}}) == {"apikey": MASK, "x": {"token": MASK}}


@pytest.mark.parametrize("name", ["file", "fi\x00le"])
@pytest.mark.parametrize("value", [NAME, f"\x00{NAME}", f"{NAME}\x00"])
def test_the_name_of_a_stored_file_is_masked_wherever_a_sender_writes_it(name: str, value: str) -> None:
    forged = {name: value}
    masked = {"file": MASK}
    assert sanitize({"data": [{"message": {"base64": forged}}]}) == {"data": [{"message": {"base64": masked}}]}
    assert sanitize({"ephemeralMessage": {"message": {"base64": forged}}})["ephemeralMessage"]["message"] == {
        "base64": masked
    }


@pytest.mark.parametrize("value", ["nota.pdf", "", None, 7, ["a"], {"name": "a"}, "1/ab/abc"])
def test_another_member_named_file_is_kept(value: object) -> None:
    assert sanitize({"file": value}) == {"file": value}


def test_a_credential_is_masked_beside_names_that_were_seen_before() -> None:
    assert sanitize({"id": "A", "data": "B"}) == {"id": "A", "data": "B"}
    assert sanitize({"id": "A", "token": "B", "data": "C"}) == {"id": "A", "token": MASK, "data": "C"}


def test_an_object_with_more_names_than_are_remembered_is_sanitized() -> None:
    names = [f"name{number}" for number in range(MAX_KNOWN_NAMES + 10)]
    for name in names:
        sanitize({name: "A"})
    assert sanitize({**dict.fromkeys(names, "A\x00"), "token": "B"}) == {**dict.fromkeys(names, "A"), "token": MASK}


def test_a_credential_that_is_null_stays_null() -> None:
    assert sanitize({"apikey": None}) == {"apikey": None}


def test_characters_that_databases_reject_are_removed() -> None:
    assert sanitize({"a\x00": "b\x00c", "emoji": "\ud83d\udc4d", "lone": "x\ud83dy"}) == {
        "a": "bc",
        "emoji": "👍",
        "lone": "x\ufffdy",
    }


def test_long_runs_of_combining_marks_are_divided() -> None:
    marks = "\u0301" * 30
    assert sanitize({f"a{marks}\u0301": [f"{marks}\x00\u0301"]}) == {f"a{marks}\u034f\u0301": [f"{marks}\u034f\u0301"]}
    once = sanitize("\u0301" * MAX_TEXT_LENGTH)
    assert len(once) == MAX_TEXT_LENGTH
    assert sanitize(once) == once


def nested(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def test_the_number_of_levels_is_limited() -> None:
    assert sanitize(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(TooDeepError):
        sanitize(nested(MAX_DEPTH + 1))


def test_a_very_long_text_is_cut_unless_it_is_an_encoded_file() -> None:
    text, encoded = "olá " * MAX_TEXT_LENGTH, "data:image/png;base64," + "QUJD" * MAX_TEXT_LENGTH
    assert sanitize({"text": text, "file": encoded}) == {"text": text[:MAX_TEXT_LENGTH], "file": encoded}


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
