"""Decoded values take no more memory than a body of their size may take."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from conversations.evolution.large_json import decoder, memory, window
from conversations.evolution.large_json.errors import TooMuchMemoryError
from tests.conversations.evolution.large_json.bodies import DECODER, decode, plain

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
    monkeypatch.setattr(memory, "MEMORY_FLOOR", 1000)
    for dense in lists_and_objects([value] * 100):
        with pytest.raises(TooMuchMemoryError):
            decode(dense)
        assert plain(decoder.decode(bytearray(dense.encode()), DECODER, is_limited=False)) == json.loads(dense)
    for sparse in lists_and_objects([value + " " * 300] * 100):
        assert plain(decode(sparse)) == json.loads(sparse)


@pytest.mark.parametrize("value", ["5", "255", *SHORT])
def test_what_is_decoded_takes_no_more_memory_than_the_limit(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(memory, "MEMORY_FLOOR", 0)
    monkeypatch.setattr(window, "STEP", 250)
    monkeypatch.setattr(decoder, "WINDOW", 1000)
    accepted = 0
    for spaces in (0, 20, 60, 150):
        for body in lists_and_objects([value + " " * spaces] * 200):
            raw = bytearray(body.encode())
            tracemalloc.start()
            try:
                kept = decoder.decode(raw, DECODER)
                assert tracemalloc.get_traced_memory()[0] < memory.memory_limit(len(body)) + 5_000, body[:100]
                accepted += bool(kept)
            except TooMuchMemoryError:
                pass
            finally:
                tracemalloc.stop()
    assert accepted


def test_a_file_as_an_array_of_numbers_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMORY_FLOOR", 0)
    body = {"a": [*range(256)] * 20}
    assert plain(decode(json.dumps(body, separators=(",", ":")))) == body
