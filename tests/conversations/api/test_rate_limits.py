"""Each answer tells how many requests are left; those beyond the limit are answered 429 until time has passed."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from conversations.api.rate_limits import buckets
from conversations.models import ApiToken
from logs import token_buckets
from tests.waiting import StoppedClock

pytestmark = pytest.mark.django_db
URL = "/api/v1/instances/"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> StoppedClock:
    settings.API_RATE_LIMITS = {"token": 6, "address": 3}
    clock = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    return clock


def test_a_token_has_a_limit(api: APIClient, clock: StoppedClock) -> None:
    answers = [api.get(URL) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"token";q=6;w=60'}
    left = ['"token";r=5;t=10', '"token";r=4;t=20', '"token";r=3;t=30', '"token";r=2;t=40', '"token";r=1;t=50']
    assert [answer["RateLimit"] for answer in answers] == [*left, '"token";r=0;t=60', '"token";r=0;t=60']
    refused = answers[-1]
    assert (refused["Retry-After"], refused["Content-Type"]) == ("10", "application/problem+json")
    assert refused.json()["code"] == "throttled"
    clock.now += 10
    assert [api.get(URL).status_code for _ in range(2)] == [200, 429]


def test_each_token_has_its_own_limit(api: APIClient) -> None:
    _, token = ApiToken.objects.issue(User.objects.create_user("bia"))
    other = APIClient(headers={"Authorization": f"Token {token}"})
    assert [api.get(URL).status_code for _ in range(7)][-1] == 429
    assert other.get(URL).status_code == 200


def test_errors_and_unchanged_answers_count(api: APIClient) -> None:
    etag = api.get(URL)["ETag"]
    statuses = [api.get(URL, headers={"If-None-Match": etag}).status_code, api.get("/api/v1/nothing/").status_code]
    assert statuses == [304, 404]
    assert api.get(URL)["RateLimit"] == '"token";r=2;t=40'


def test_an_address_without_a_token_has_a_limit_and_a_session_too() -> None:
    client = Client()
    client.force_login(User.objects.create_user("bia"))
    assert [client.get("/api/schema/").status_code, client.get(URL).status_code] == [200, 200]
    assert [Client().get(URL).status_code for _ in range(2)] == [401, 429]
    assert Client(REMOTE_ADDR="192.0.2.7").get(URL).status_code == 401


@pytest.mark.parametrize(
    "header", ["Basic {}", "{}", "Token", "Token {} b", "Digest a={}", "Token wai_{}", "Bearer {}"]
)
def test_a_header_without_a_right_token_gives_no_limit_of_its_own(header: str) -> None:
    answers = [Client().get("/api/schema/", headers={"Authorization": header.format(n)}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert len(buckets) == 1


def test_a_right_token_is_not_refused_because_of_wrong_ones_of_the_same_address(api: APIClient) -> None:
    wrong = [Client().get(URL, headers={"Authorization": f"Token {n}"}).status_code for n in range(4)]
    assert wrong == [401] * 3 + [429]
    assert api.get(URL)["RateLimit"] == '"token";r=5;t=10'


def test_each_process_grants_its_share(api: APIClient, settings: Any) -> None:
    settings.WEB_PROCESSES = 2
    answers = [api.get(URL) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert answers[0]["RateLimit-Policy"] == '"token";q=3;w=60'


def test_zero_stands_for_no_limit(settings: Any) -> None:
    settings.API_RATE_LIMITS = {"token": 0, "address": 0}
    answers = [Client().get("/api/schema/") for _ in range(4)]
    assert {(answer.status_code, answer.has_header("RateLimit")) for answer in answers} == {(200, False)}


def test_other_paths_have_no_limit() -> None:
    assert [Client().get("/admin/login/").status_code for _ in range(5)] == [200] * 5
