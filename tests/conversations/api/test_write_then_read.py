"""Every answer shows the write before it, also if another process has answered the write.

`make bench-api` does the same with 100,000 pairs.
"""

import json
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from conversations.models import ApiToken
from tests.benchmarks.api_coherence import write_and_read
from tests.cachelayer.gunicorn import serving
from tests.conversations.rows import a_chat, an_instance

PROCESSES = 4


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_every_answer_of_four_processes_shows_the_write_before_it(tmp_path: Path) -> None:
    token = ApiToken.objects.issue(User.objects.create_superuser("ana"))[1]
    chats = [a_chat(an_instance()) for _ in range(PROCESSES)]
    rows = [(chat.pk, chat.instance_id) for chat in chats]
    with serving(tmp_path, f"--workers={PROCESSES}") as gunicorn:
        result = write_and_read(gunicorn.port, token, rows, pairs=200)
    assert result.stale == []
    assert result.pairs == 200


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_change_of_access_holds_in_all_processes_from_the_next_request_on(tmp_path: Path) -> None:
    shop = an_instance()
    url, memberships = f"conversations/{a_chat(shop).pk}/", "memberships/"
    bia = User.objects.create_user("bia")
    root = ApiToken.objects.issue(User.objects.create_superuser("ana"))[1]
    maker = ApiToken.objects.issue(bia)[1]
    with serving(tmp_path, f"--workers={PROCESSES}") as gunicorn:
        ask = partial(answer_of, gunicorn.port)
        for _ in range(10):
            added = ask(root, "POST", memberships, {"instance_id": shop.pk, "username": "bia", "role": "manager"})[1]
            made = ask(maker, "POST", "tokens/", {"scopes": ["manage"]})[1]
            pair = (maker, made["token"])
            assert [ask(token, "GET", url)[0] for token in pair for _ in range(PROCESSES)] == [200] * 2 * PROCESSES
            ask(root, "PATCH", f"{memberships}{added['id']}/", {"role": "reader"})
            assert [ask(token, "POST", f"{url}archive/")[0] for token in pair] == [403, 403]
            ask(root, "DELETE", f"{memberships}{added['id']}/")
            assert [ask(token, "GET", url)[0] for token in pair] == [404, 404]
            ask(maker, "DELETE", f"tokens/{made['id']}/")
            assert [ask(token, "GET", url)[0] for token in pair] == [404, 401]


def answer_of(port: int, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send a request over a connection of its own, which any process may accept; return the status and the JSON."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1/{path}", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None
    finally:
        connection.close()
