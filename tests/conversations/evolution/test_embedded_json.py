"""Tests of conversations/evolution/embedded_json.py."""

import json
from typing import Any

import pytest

from conversations.evolution.embedded_json import MAX_CHARS, decode_object


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ('{"a": {"b": [1, "c"]}}', {"a": {"b": [1, "c"]}}),
        ('{"a": "\\u0000x\\ud800"}', {"a": "x\ufffd"}),
        ('{"\\udfff\\u0000": 1}', {"\ufffd": 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"token": "abc"}', {"token": "[redacted]"}),
        ('{"a": NaN}', {}),
        ('{"a": -Infinity}', {}),
        (f'{{"a": {"9" * 5000}}}', {}),
        ("[" * MAX_CHARS, {}),
        ('{"a":' * 200 + "1" + "}" * 200, {}),
        (json.dumps({"a": "b" * MAX_CHARS}), {}),
        ("[1]", {}),
        ("{", {}),
        ("", {}),
        (None, {}),
        ({"a": 1}, {}),
    ],
    ids=range(16),
)
def test_an_embedded_object_has_only_what_can_be_stored_and_shown(text: Any, decoded: dict[str, Any]) -> None:
    assert decode_object(text) == decoded
