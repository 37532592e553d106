"""Requests are counted by the names of routes, whatever paths clients invent."""

import pytest
from django.test import Client

from cachelayer.ops import histogram_totals
from conversations.monitoring.requests import REQUESTS

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "series"),
    [
        ("/api/v1/me/", "me 4xx"),
        ("/api/v1/messages/7", "message-detail 4xx"),
        ("/admin/login/", "admin 2xx"),
        ("/admin/conversations/message/", "admin 3xx"),
        ("/webhooks/evolution/x", "webhook 4xx"),
        ("/webhooks/nothing", "webhook 4xx"),
        ("/healthz", "health 2xx"),
        ("/api/v1/invented/7", "other 4xx"),
        ("/invented", "other 4xx"),
    ],
)
def test_a_request_is_counted_once_under_its_route(path: str, series: str) -> None:
    histogram_totals.reset_after_fork()
    Client().get(path)
    counts = {key[1] for key in histogram_totals.unflushed() if key[0] == REQUESTS}
    assert counts == {series}
