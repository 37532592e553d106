"""All log lines and the response of a request have the same request id, and no other request has this id."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from conversations.models import ApiToken, Instance
from logs import middleware
from logs.binding import current, reset
from logs.contexts import Context
from logs.line_limit import BURST_SECONDS, LINES_PER_SECOND
from logs.testing import CapturedLines, capture
from tests.conversations.webhooks.conftest import PATH, TOKEN

Get = Callable[..., Any]
BURST = int(BURST_SECONDS * LINES_PER_SECOND)
GENERATED_ID = re.compile(r"[0-9a-f]{16}")
BACKGROUND = ("asyncio", "whatsai.cache")  # loggers of threads that belong to no request


@pytest.fixture(autouse=True)
def no_bindings() -> Iterator[None]:
    reset()
    yield
    reset()


@pytest.fixture(params=["WSGI", "ASGI"])
def get(request: pytest.FixtureRequest, settings: LazySettings) -> Get:
    """Return a function that sends a GET request to the test views through WSGI or ASGI."""
    settings.ROOT_URLCONF = "tests.logs.urls"
    if request.param == "WSGI":
        return Client(raise_request_exception=False).get
    return async_to_sync(AsyncClient(raise_request_exception=False).get)


@pytest.fixture
def logged() -> Iterator[CapturedLines]:
    with capture(logging.INFO) as lines:
        yield lines


# --- the id -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/ok/", "/async/", "/thread/", "/stream/", "/gone/", "/nowhere/", "/fail/"])
def test_all_lines_and_the_response_have_the_generated_id(path: str, get: Get, logged: CapturedLines) -> None:
    answer = get(path)
    given = answer.headers["X-Request-ID"]
    assert GENERATED_ID.fullmatch(given)
    assert logged
    lines = [line for line in logged if line["logger"] not in BACKGROUND]
    assert {line["request_id"] for line in lines} == {given}


def test_the_id_from_a_proxy_is_used(get: Get, logged: CapturedLines) -> None:
    answer = get("/ok/", headers={"X-Request-ID": "Root-1.5759e988_bd86"})
    assert answer.headers["X-Request-ID"] == answer.content.decode() == "Root-1.5759e988_bd86"
    assert {line["request_id"] for line in logged} == {"Root-1.5759e988_bd86"}


@pytest.mark.parametrize("odd", ["", " ", "a b", "a\nb", "x" * 65, "é", '{"a":1}', "a;b", "<b>", "a\x00"])
def test_an_invalid_id_is_replaced(odd: str, get: Get, logged: CapturedLines) -> None:
    answer = get("/ok/", headers={"X-Request-ID": odd})
    assert GENERATED_ID.fullmatch(answer.headers["X-Request-ID"])
    assert {line["request_id"] for line in logged if line["logger"] not in BACKGROUND} == {
        answer.headers["X-Request-ID"]
    }


def test_a_request_has_no_fields_of_the_previous_one(get: Get) -> None:
    assert "one" not in get("/leftover/?instance=one").content.decode()
    assert "one" not in get("/leftover/?instance=two").content.decode()


def test_no_field_is_bound_after_the_request(settings: LazySettings) -> None:
    settings.ROOT_URLCONF = "tests.logs.urls"
    found: list[object] = []

    def request() -> None:
        Client().get("/leftover/?instance=one")
        found.append(dict(current()))

    thread = threading.Thread(target=request)
    thread.start()
    thread.join()
    assert found == [{}]


# --- the line about the response --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "status", "level"),
    [("/ok/", 200, "INFO"), ("/gone/", 404, "WARN"), ("/nowhere/", 404, "WARN"), ("/stream/", 200, "INFO")],
)
def test_a_response_is_one_line_with_status_and_duration(
    path: str, status: int, level: str, get: Get, logged: CapturedLines
) -> None:
    get(f"{path}?search=Mariana&token=hunter2")
    line = logged.one(message=f"GET {path} {status}")
    assert (line["context"], line["level"], line["status"]) == ("API", level, status)
    assert line["duration_ms"] >= 0
    assert not [one for one in logged if "Mariana" in str(one) or "hunter2" in str(one)]
    assert not logged.matching(logger="django.request")


@pytest.mark.parametrize(("path", "status"), [("/nowhere/", 404), ("/" + "n" * 4000, 404), ("/ok/", 200)])
def test_a_flood_of_anonymous_requests_logs_few_short_lines(
    path: str, status: int, get: Get, logged: CapturedLines
) -> None:
    for _ in range(50):
        assert get(path).status_code == status
    about_responses = [line for line in logged if line["message"].startswith("GET ")]
    assert len(about_responses) == BURST
    assert all(len(str(line)) < 1000 for line in about_responses)


def test_an_unhandled_exception_is_an_error_with_its_traceback(get: Get, logged: CapturedLines) -> None:
    answer = get("/fail/")
    line = logged.one(level="ERROR")
    assert line["context"] == "API"
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert "RuntimeError: no" in line["exc_info"]
    assert logged.one(message="GET /fail/ 500", level="INFO")


def test_requests_under_a_configured_path_belong_to_its_context(get: Get, logged: CapturedLines) -> None:
    get("/webhooks/fail/")
    assert logged.one(level="ERROR")["context"] == "WEBHOOK"
    get("/webhooks/nowhere/")
    get("/webhooks/ok/")
    assert {line["context"] for line in logged} == {"WEBHOOK"}
    assert not logged.matching(message="GET /webhooks")  # these requests are logged at level DEBUG


@pytest.mark.parametrize(
    ("path", "context"), [("/webhooks/x", Context.WEBHOOK), ("/api/", Context.API), ("/", Context.API)]
)
def test_the_path_selects_the_context(path: str, context: Context) -> None:
    assert middleware.context_for_path(path) is context


# --- through the real application -------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_line_contains_the_users_primary_key(client: Client, logged: CapturedLines) -> None:
    user = User.objects.create(username="Mariana")
    _, token = ApiToken.objects.issue(user)
    client.get("/api/v1/conversations/?limit=1", headers={"Authorization": f"Token {token}"})
    assert logged.one(message="GET /api/v1/conversations/ 200")["user"] == user.pk
    client.get("/api/v1/conversations/")
    assert "user" not in logged.one(message="GET /api/v1/conversations/ 401")
    client.force_login(user)
    client.get("/api/v1/conversations/")
    assert logged[-1]["user"] == user.pk
    assert not [line for line in logged if "Mariana" in str(line) or token in str(line)]


@pytest.mark.django_db
def test_a_webhook_has_a_request_id(client: Client) -> None:
    Instance.objects.issue_token(Instance.objects.create(name="sales").pk, token=TOKEN)
    with capture() as logged:
        answer = client.post(PATH, b"{}", "application/json", headers={"X-Webhook-Token": TOKEN, "X-Request-ID": "a1"})
        client.post(PATH, b"{}", "application/json", headers={"X-Request-ID": "a2"})
        client.post("/webhooks/nowhere", b"{}", "application/json", headers={"X-Request-ID": "a3"})
    assert answer.headers["X-Request-ID"] == "a1"
    assert {line["context"] for line in logged.matching(request_id="a1")} >= {"WEBHOOK"}
    assert all(line["instance"] == "sales" for line in logged.matching(request_id="a1", context="webhook"))
    assert logged.one(request_id="a2", level="WARN")["message"].startswith("Webhook REFUSED: 401")
    assert logged.one(request_id="a3", level="WARN")["message"].startswith("Webhook REFUSED: 404")


@pytest.mark.django_db
def test_lines_of_django_have_the_request_id(client: Client, logged: CapturedLines, settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["example.com"]
    client.get("/api/v1/conversations/", headers={"host": "evil.example", "X-Request-ID": "a1"})
    line = logged.one(logger="django.security.DisallowedHost")
    assert (line["context"], line["request_id"]) == ("API", "a1")
