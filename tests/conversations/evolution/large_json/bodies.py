"""Decodes bodies in parts, and makes plain values of what was decoded."""

import json
from typing import Any

from conversations.evolution.large_json import decoder
from conversations.evolution.large_json.encoder import encode

DECODER = json.JSONDecoder()


def decode(text: str | bytes) -> Any:
    return decoder.decode(bytearray(text.encode() if isinstance(text, str) else text), DECODER)


def plain(value: Any) -> Any:
    return json.loads(encode(value))
