"""The worker processes of gunicorn learn how many they are."""

import os
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from whatsai import gunicorn
from whatsai.worker_count import worker_count


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_learn_their_number_wherever_it_was_set(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    cfg = Config()
    cfg.set("workers", workers)
    gunicorn.on_starting(SimpleNamespace(cfg=cfg))
    assert worker_count(["gunicorn", "-c", "python:whatsai.gunicorn", "whatsai.wsgi"], os.environ) == workers
