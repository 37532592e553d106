"""Makes the steps small, so that small bodies are decoded and encoded like large ones."""

import pytest

from conversations.evolution.large_json import decoder, encoder, texts, window


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "STEP", 16)
    monkeypatch.setattr(decoder, "WINDOW", 40)
    monkeypatch.setattr(texts, "STEP", 40)
    monkeypatch.setattr(encoder, "NUMBERS", 3)
