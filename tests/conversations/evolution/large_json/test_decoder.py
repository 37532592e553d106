"""Large JSON is decoded and encoded in steps with the result of Python's decoder and encoder."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.evolution.large_json import decoder, window
from conversations.evolution.large_json.errors import TooDeepError, TooManyItemsError
from tests.conversations.evolution.large_json.bodies import DECODER, decode, plain

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, ascii_only=st.booleans(), indent=st.none() | st.just(2))
def test_any_value_is_decoded_and_encoded_unchanged(value: Any, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001 - Hypothesis passes keywords
    for body in (value, {"data": value}, {"event": "x", "data": [value, value]}):
        text = json.dumps(body, ensure_ascii=ascii_only, indent=indent)
        assert plain(decode(text)) == json.loads(text)


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, {"data": []}, {"data": [1]}, [[], {}], {"a": [], "b": {}}])
def test_white_space_of_any_length_changes_nothing(value: Any) -> None:
    spread = re.sub(r"[][{},:]", lambda match: match[0] + " " * 60, json.dumps(value))
    assert plain(decode(spread)) == value
    assert plain(decode(f'{{"data": {spread}}}')) == {"data": value}


BAD = [
    "",
    "[1,]",
    "[,1]",
    "[1 1]",
    '{"a":1,}',
    '{"a"}',
    "{a:1}",
    '{"a" 1}',
    '"\\x"',
    '"\\u12"',
    '"a\n"',
    '"a',
    "[",
    "1 1",
    "-",
    "tru",
]


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_json_is_refused_wherever_it_stands(bad: str) -> None:
    space, text = " " * 50, '"' + "x" * 50 + '"'
    for body in (
        bad,
        space + bad,
        f"[{text}, {bad}, {text}]",
        f'{{"data": [{text}, {bad}, {text}]}}',
        f"{{{text}: {bad}}}",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
            decode(body)


def many(count: int) -> Iterator[str]:
    yield json.dumps(["x"] * count)
    yield json.dumps({"a": {str(number): "x" for number in range(count)}})
    yield json.dumps({"a": [True] * count})
    yield json.dumps({"a": {str(number): False for number in range(count)}})


def test_a_large_value_with_many_items_is_refused_unless_they_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MAX_ITEMS", 20)
    for text in many(20):
        assert plain(decode(text)) == json.loads(text)
    for text in many(21):
        with pytest.raises(TooManyItemsError):
            decode(text)
    for value in ({"a": [255] * 100}, {"a": {str(index): 255 for index in range(100)}}, {"data": ["x"] * 100}):
        assert plain(decode(json.dumps(value))) == value


def test_data_with_too_many_records_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MAX_RECORDS", 20)
    assert plain(decode(json.dumps({"data": [1] * 20}))) == {"data": [1] * 20}
    stored = json.dumps({"data": [1] * 21})
    with pytest.raises(TooManyItemsError, match="more than 20"):
        decode(stored)
    assert plain(decoder.decode(bytearray(stored.encode()), DECODER, is_limited=False)) == {"data": [1] * 21}


NUMBERS = st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(NUMBERS, min_size=20), last=VALUES, space=st.sampled_from(["", " ", "\n\t "]))
def test_numbers_are_decoded_like_others(numbers: list[float], last: Any, space: str) -> None:
    members = {f"{index}\\é"[: index % 4 + 1]: number for index, number in enumerate(numbers)}
    for value in ([*numbers, last, *numbers], {**members, "z": last, **{f"y{name}": 1 for name in members}}):
        text = json.dumps({"a": value}, separators=(f"{space},{space}", f"{space}:{space}"))
        assert plain(decode(text)) == json.loads(text)


def test_a_file_of_numbers_is_decoded_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of 12 MB with 1,200,000 members kept a processor busy for 30 seconds."""
    monkeypatch.setattr(window, "STEP", 1000)
    monkeypatch.setattr(decoder, "WINDOW", 1000)
    steps = []

    class Decoder(json.JSONDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.scan, self.scan_once = self.scan_once, self.count  # type: ignore[has-type] # missing in typeshed

        def count(self, text: str, at: int) -> tuple[Any, int]:
            steps.append(at)
            found: tuple[Any, int] = self.scan(text, at)
            return found

    for value in ({"a": [255] * 10_000}, {"a": {str(index): 255 for index in range(10_000)}}):
        assert plain(decoder.decode(bytearray(json.dumps(value).encode()), Decoder())) == value
    assert len(steps) < 2_000


def test_large_values_have_a_limited_depth() -> None:
    def nested(levels: int) -> str:
        return '{"a":' * levels + '"' + "x" * 100 + '"' + "}" * levels

    assert plain(decode(nested(decoder.MAX_LEVELS - 1))) == json.loads(nested(decoder.MAX_LEVELS - 1))
    with pytest.raises(TooDeepError):
        decode(nested(decoder.MAX_LEVELS + 1))


def test_a_number_of_any_length_ends() -> None:
    assert plain(decode("1" * 30)) == int("1" * 30)
    with pytest.raises(ValueError, match="digits"):
        decode("1" * 100)
