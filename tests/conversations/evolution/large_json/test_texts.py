"""Long texts are cut unless they are base64."""

import json

import pytest

from conversations.evolution.large_json import texts
from tests.conversations.evolution.large_json.bodies import decode


def test_a_long_text_that_is_not_base64_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_TEXT_LENGTH", 50)
    for text in ("é" * 100, "QUJD" * 20 + "é" * 3, '"\\/\b\f\n\r\t😀' * 10):
        assert decode(json.dumps({"data": text})) == {"data": text[:50]}
    assert decode(json.dumps({"data": "QUJD" * 100})) == {"data": "QUJD" * 100}
