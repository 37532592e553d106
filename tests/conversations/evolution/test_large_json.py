"""Large JSON is decoded and encoded in steps with the result of Python's decoder and encoder."""

import json
import re
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.evolution import large_json
from conversations.evolution.large_json import (
    LargeArray,
    LargeDict,
    LargeList,
    TooDeepError,
    TooManyItemsError,
    TooMuchMemoryError,
)

DECODER = json.JSONDecoder()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "STEP", 16)
    monkeypatch.setattr(large_json, "WINDOW", 40)
    monkeypatch.setattr(large_json, "NUMBERS", 3)


def decode(text: str | bytes) -> Any:
    return large_json.decode(bytearray(text.encode() if isinstance(text, str) else text), DECODER)


def plain(value: Any) -> Any:
    return json.loads(large_json.encode(value))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, ascii_only=st.booleans(), indent=st.none() | st.just(2))
def test_any_value_is_decoded_and_encoded_unchanged(value: Any, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001 - Hypothesis passes keywords
    for body in (value, {"data": value}, {"event": "x", "data": [value, value]}):
        text = json.dumps(body, ensure_ascii=ascii_only, indent=indent)
        assert plain(decode(text)) == json.loads(text)


def test_the_records_of_a_large_body_are_decoded_one_at_a_time() -> None:
    body = decode(json.dumps({"data": [{"a": "x" * 10}] * 9}))
    assert (type(body), type(body["data"]), len(body["data"])) == (LargeDict, LargeList, 9)
    assert list(body["data"]) == [{"a": "x" * 10}] * 9
    assert list(body["data"][7:]) == [{"a": "x" * 10}] * 2
    body["data"].change(lambda item: item | {"b": 1})
    assert large_json.encode(body).decode() == json.dumps({"data": [{"a": "x" * 10, "b": 1}] * 9}, sort_keys=True)
    assert body == {}


def test_a_long_text_that_is_not_base64_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MAX_TEXT_LENGTH", 50)
    for text in ("é" * 100, "QUJD" * 20 + "é" * 3, '"\\/\b\f\n\r\t😀' * 10):
        assert decode(json.dumps({"data": text})) == {"data": text[:50]}
    assert decode(json.dumps({"data": "QUJD" * 100})) == {"data": "QUJD" * 100}


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, {"data": []}, {"data": [1]}, [[], {}], {"a": [], "b": {}}])
def test_white_space_of_any_length_changes_nothing(value: Any) -> None:
    spread = re.sub(r"[][{},:]", lambda match: match[0] + " " * 60, json.dumps(value))
    assert plain(decode(spread)) == value
    assert plain(decode(f'{{"data": {spread}}}')) == {"data": value}


def test_the_items_of_a_large_array_are_freed_as_they_are_encoded() -> None:
    body = decode(json.dumps({"data": {"a": ["x" * 30, ["y" * 99]]}}))
    items = body["data"]["a"]
    assert type(items) is LargeArray
    assert json.loads(large_json.encode(body)) == {"data": {"a": ["x" * 30, ["y" * 99]]}}
    assert items == []


def test_one_item_of_data_is_decoded_at_a_time() -> None:
    class Item(dict[str, Any]):
        """An object that can be referred to weakly."""

    items: list[weakref.ref[Item]] = []
    alive = []

    def track(item: Any) -> Any:
        alive.append(sum(reference() is not None for reference in items))
        tracked = Item(item)
        items.append(weakref.ref(tracked))
        return tracked

    body = decode(json.dumps({"data": [{"a": "x" * 10}] * 9}))
    body["data"].change(track)
    large_json.encode(body)
    assert alive == [0] * 9


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
    monkeypatch.setattr(large_json, "MAX_ITEMS", 20)
    for text in many(20):
        assert plain(decode(text)) == json.loads(text)
    for text in many(21):
        with pytest.raises(TooManyItemsError):
            decode(text)
    for value in ({"a": [255] * 100}, {"a": {str(index): 255 for index in range(100)}}, {"data": ["x"] * 100}):
        assert plain(decode(json.dumps(value))) == value


def test_data_with_too_many_records_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MAX_RECORDS", 20)
    assert plain(decode(json.dumps({"data": [1] * 20}))) == {"data": [1] * 20}
    stored = json.dumps({"data": [1] * 21})
    with pytest.raises(TooManyItemsError, match="more than 20"):
        decode(stored)
    assert plain(large_json.decode(bytearray(stored.encode()), DECODER, is_limited=False)) == {"data": [1] * 21}


SHORT = ["1000", "123456789", "-7", "1.5", "1e3", '"a"', "[]", "{}", "[[1.5]]", '{"a":1000}', '{"":{"b":[1,2,null]}}']


def lists_and_objects(values: list[str]) -> Iterator[str]:
    """Yield bodies with many values, which are not the items of `data`."""
    yield f'{{"a":[{",".join(values)}]}}'
    yield f"[[{'],['.join(values)}]]"
    members = [f'"{index}":{value}' for index, value in enumerate(values)]
    yield f'{{"a":{{{",".join(members)}}}}}'
    yield f'{{"data":[{{{",".join(members)}}}]}}'
    yield f"[{{{'},{'.join(members)}}}]"


@pytest.mark.parametrize("value", SHORT)
def test_short_values_that_need_many_times_their_bytes_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(large_json, "MEMORY_FLOOR", 1000)
    for dense in lists_and_objects([value] * 100):
        with pytest.raises(TooMuchMemoryError):
            decode(dense)
        assert plain(large_json.decode(bytearray(dense.encode()), DECODER, is_limited=False)) == json.loads(dense)
    for sparse in lists_and_objects([value + " " * 300] * 100):
        assert plain(decode(sparse)) == json.loads(sparse)


@pytest.mark.parametrize("value", ["5", "255", *SHORT])
def test_what_is_decoded_takes_no_more_memory_than_the_limit(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(large_json, "MEMORY_FLOOR", 0)
    monkeypatch.setattr(large_json, "STEP", 250)
    monkeypatch.setattr(large_json, "WINDOW", 1000)
    accepted = 0
    for spaces in (0, 20, 60, 150):
        for body in lists_and_objects([value + " " * spaces] * 200):
            raw = bytearray(body.encode())
            tracemalloc.start()
            try:
                kept = large_json.decode(raw, DECODER)
                assert tracemalloc.get_traced_memory()[0] < large_json.memory_limit(len(body)) + 5_000, body[:100]
                accepted += bool(kept)
            except TooMuchMemoryError:
                pass
            finally:
                tracemalloc.stop()
    assert accepted


def test_a_file_as_an_array_of_numbers_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MEMORY_FLOOR", 0)
    body = {"a": [*range(256)] * 20}
    assert plain(decode(json.dumps(body, separators=(",", ":")))) == body


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
    monkeypatch.setattr(large_json, "STEP", 1000)
    monkeypatch.setattr(large_json, "WINDOW", 1000)
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
        assert plain(large_json.decode(bytearray(json.dumps(value).encode()), Decoder())) == value
    assert len(steps) < 2_000


def test_large_values_have_a_limited_depth() -> None:
    def nested(levels: int) -> str:
        return '{"a":' * levels + '"' + "x" * 100 + '"' + "}" * levels

    assert plain(decode(nested(large_json.MAX_LEVELS - 1))) == json.loads(nested(large_json.MAX_LEVELS - 1))
    with pytest.raises(TooDeepError):
        decode(nested(large_json.MAX_LEVELS + 1))


def test_a_number_of_any_length_ends() -> None:
    assert plain(decode("1" * 30)) == int("1" * 30)
    with pytest.raises(ValueError, match="digits"):
        decode("1" * 100)
