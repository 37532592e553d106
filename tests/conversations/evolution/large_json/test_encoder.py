"""Large values are encoded one item at a time, and freed meanwhile."""

import json
import weakref
from typing import Any

from conversations.evolution.large_json.encoder import encode
from conversations.evolution.large_json.values import LargeArray, LargeDict, LargeList
from tests.conversations.evolution.large_json.bodies import decode


def test_the_records_of_a_large_body_are_decoded_one_at_a_time() -> None:
    body = decode(json.dumps({"data": [{"a": "x" * 10}] * 9}))
    assert (type(body), type(body["data"]), len(body["data"])) == (LargeDict, LargeList, 9)
    assert list(body["data"]) == [{"a": "x" * 10}] * 9
    assert list(body["data"][7:]) == [{"a": "x" * 10}] * 2
    body["data"].change(lambda item: item | {"b": 1})
    assert encode(body).decode() == json.dumps({"data": [{"a": "x" * 10, "b": 1}] * 9}, sort_keys=True)
    assert body == {}


def test_the_items_of_a_large_array_are_freed_as_they_are_encoded() -> None:
    body = decode(json.dumps({"data": {"a": ["x" * 30, ["y" * 99]]}}))
    items = body["data"]["a"]
    assert type(items) is LargeArray
    assert json.loads(encode(body)) == {"data": {"a": ["x" * 30, ["y" * 99]]}}
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
    encode(body)
    assert alive == [0] * 9
