"""A request that creates something creates it once, however often it is repeated with the same key."""

import datetime as dt
import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations.api.idempotency import idempotent
from conversations.models import ApiToken, IdempotentRequest, Instance, Membership, idempotent_request
from conversations.models.idempotent_request import ABANDONED_AFTER, KEPT
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
FIRST, SECOND = {"name": "sales"}, {"name": "support"}


class InstancesView(APIView):
    @idempotent()
    def post(self, request: Request) -> Response:
        row = an_instance(name=dict(request.data)["name"], server_url=f"https://{secrets.token_hex(8)}")
        if "refused" in row.name:
            raise PermissionDenied("never")
        return Response({"id": row.pk, "name": row.name}, 201)


class SecretsView(APIView):
    @idempotent(shows_secret=True)
    def post(self, request: Request) -> Response:
        an_instance(name=dict(request.data)["name"], server_url=f"https://{secrets.token_hex(8)}")
        return Response({"secret": "hunter2"}, 201)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("bia")


@pytest.fixture
def token(user: User) -> str:
    return ApiToken.objects.issue(user)[1]


def send(  # noqa: PLR0913 - the parts of a request
    token: str, key: str | None, body: Any = FIRST, *, query: str = "", view: Any = InstancesView, path: str = "/a/"
) -> tuple[int, Any]:
    headers = {"Authorization": f"Token {token}"} | ({"Idempotency-Key": key} if key is not None else {})
    request = RequestFactory().post(path + query, body, content_type="application/json", headers=headers)
    response = view.as_view()(request)
    response.render() if hasattr(response, "render") else None
    content = json.loads(response.content)
    assert response.headers.get("Idempotency-Replayed", "true") == "true"
    return response.status_code, content.get("code", content)


def names() -> list[str]:
    return sorted(Instance.objects.values_list("name", flat=True))


def test_a_repetition_gets_the_first_answer_and_creates_nothing(token: str) -> None:
    first = send(token, '"k1"')
    assert first[0] == 201
    assert [send(token, key) for key in ('"k1"', "k1")] == [first, first]
    assert names() == ["sales"]
    assert [send(token, key)[0] for key in (None, None, "k2")] == [201] * 3
    assert names() == ["sales"] * 4


def test_of_many_keys_of_one_token_the_oldest_are_forgotten(
    user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent_request, "MAX_KEPT", 2)
    _, other = ApiToken.objects.issue(user)
    assert send(other, "k1", SECOND)[0] == 201
    for key in ("k1", "k2", "k3"):
        send(token, key)
    assert IdempotentRequest.objects.count() == 3
    for key in ("k2", "k3"):
        send(token, key)
    send(other, "k1", SECOND)
    assert names() == ["sales"] * 3 + ["support"]
    send(token, "k1")
    assert names() == ["sales"] * 4 + ["support"]


@pytest.mark.parametrize("other", [{"body": SECOND}, {"query": "?a=1"}, {"path": "/b/"}])
def test_another_request_with_the_same_key_is_refused(token: str, other: dict[str, Any]) -> None:
    assert send(token, "k1")[0] == 201
    assert send(token, "k1", **other) == (422, "idempotency_key_reused")
    assert names() == ["sales"]


def test_keys_of_other_tokens_and_users_have_nothing_to_do_with_each_other(token: str, user: User) -> None:
    others = [ApiToken.objects.issue(one)[1] for one in (user, User.objects.create_user("eva"))]
    found = [send(one, "k1", body) for one, body in zip((token, *others), (FIRST, FIRST, SECOND), strict=True)]
    assert [status for status, _ in found] == [201] * 3
    assert names() == ["sales", "sales", "support"]


def test_a_repetition_while_the_first_request_runs_is_refused(token: str) -> None:
    send(token, "k1")
    IdempotentRequest.objects.update(status=0, content="")
    assert send(token, "k1") == (409, "request_in_progress")
    IdempotentRequest.objects.update(started_at=timezone.now() - ABANDONED_AFTER - dt.timedelta(seconds=1))
    assert send(token, "k1", SECOND) == (422, "idempotency_key_reused")
    assert send(token, "k1")[0] == 201, "a request that was given up is made"


def test_a_request_that_another_one_has_taken_over_creates_nothing(token: str) -> None:
    class SlowView(APIView):
        @idempotent()
        def post(self, request: Request) -> Response:
            an_instance(name=dict(request.data)["name"], server_url=f"https://{secrets.token_hex(8)}")
            IdempotentRequest.objects.update(started_at=timezone.now())
            return Response({}, 201)

    assert send(token, "k1", view=SlowView) == (409, "request_in_progress")
    assert names() == []


def test_a_request_that_failed_can_be_sent_again(token: str) -> None:
    assert [send(token, "k1", {"name": "refused"}) for _ in range(2)] == [(403, "permission_denied")] * 2
    assert names() == []
    assert send(token, "k1")[0] == 201


def test_a_secret_is_neither_stored_nor_shown_again(token: str) -> None:
    assert send(token, "k1", view=SecretsView) == (201, {"secret": "hunter2"})
    assert send(token, "k1", view=SecretsView) == (409, "answer_not_stored")
    assert not IdempotentRequest.objects.exclude(content="").exists()
    assert names() == ["sales"]


def test_an_answer_is_not_shown_after_a_change_of_access(token: str, user: User) -> None:
    membership = Membership.objects.create(user=user, instance=an_instance(name="old"), role="agent")
    assert send(token, "k1")[0] == 201
    membership.delete()
    assert send(token, "k1") == (409, "answer_not_stored")


def test_an_old_key_can_be_used_again_and_old_answers_are_deleted(token: str) -> None:
    for key in ("k1", "k2"):
        send(token, key)
    IdempotentRequest.objects.update(started_at=timezone.now() - KEPT - dt.timedelta(seconds=1))
    assert send(token, "k1", SECOND)[0] == 201
    assert IdempotentRequest.objects.count() == 2
    send(token, "k3")
    assert IdempotentRequest.objects.count() == 2


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "olá", "\t", '"a"b"'])
def test_a_wrong_key_is_refused(token: str, key: str) -> None:
    assert send(token, key) == (400, "invalid_parameters")
    assert names() == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_requests_at_the_same_time_one_creates(token: str) -> None:
    barrier = threading.Barrier(4)

    def run(_: int) -> int:
        try:
            barrier.wait()
            return send(token, "k1")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(run, range(4)))
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    assert names() == ["sales"]
