"""The webhook view stores valid requests with one query, and responds to and logs rejected requests."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection
from django.test import Client, RequestFactory
from pytest_django.fixtures import DjangoAssertNumQueries

from cachelayer.runtime.runtime import get_runtime
from conversations.ingest import metrics, notify
from conversations.ingest.inbox.overload import queue_depth
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from conversations.webhooks import body as request_body
from conversations.webhooks.views import receive_webhook
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - pytest finds the imported fixture by name
from tests.conversations.webhooks.conftest import PATH, SERVER, TOKEN, Post, event

Outcome = WebhookEvent.Outcome


def stored_events() -> list[WebhookEvent]:
    return list(WebhookEvent.objects.order_by("id"))


def test_an_event_is_stored_and_named_in_the_response(sales: Instance, post: Post) -> None:
    response = post()
    (row,) = stored_events()
    assert response.status_code == 202
    assert response.json() == {"status": "stored", "event": "messages.upsert"}
    assert (row.instance, row.name, row.outcome) == (sales, "messages.upsert", Outcome.STORED)


@pytest.mark.parametrize("path", [PATH + "/messages-upsert", f"{PATH}?token={TOKEN}/messages-upsert"])
@pytest.mark.usefixtures("sales")
def test_the_url_gives_the_event_if_the_body_has_none(path: str, post: Post) -> None:
    assert post(path, {"instance": "sales", "data": {}}).json()["event"] == "messages.upsert"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/vnd.x+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ],
)
@pytest.mark.usefixtures("sales")
def test_the_content_type_is_ignored(content_type: str, post: Post) -> None:
    assert post(content_type=content_type).status_code == 202


@pytest.mark.parametrize("name", ["Vendas São Paulo", "客服", "a.b-c_d", "100%", "what? #1", "👋", "it's & co"])
@pytest.mark.django_db
def test_an_instance_may_have_any_name(name: str, post: Post) -> None:
    instance, _ = Instance.objects.upsert(name, SERVER)
    token = Instance.objects.issue_token(instance.pk)
    response = post(f"/webhooks/evolution/{quote(name, safe='')}/messages-upsert", event(instance=name), token=token)
    assert response.status_code == 202
    assert stored_events()[0].instance == instance


@pytest.mark.parametrize(
    ("path", "token", "body", "status", "error"),
    [
        (PATH, "", b"{}", 401, "unauthorized"),
        (PATH, "wrong", b"{}", 401, "unauthorized"),
        (PATH, "wróng", b"{}", 401, "unauthorized"),
        (PATH, "wrong", b"not JSON", 401, "unauthorized"),
        (PATH + "?token=%E2%82%AC", "", b"{}", 401, "unauthorized"),
        ("/webhooks/evolution/unknown", TOKEN, b"{}", 404, "unknown_instance"),
        ("/webhooks/evolution/a%00b", TOKEN, b"{}", 404, "unknown_instance"),
        ("/webhooks/evolution/%FF", TOKEN, b"{}", 404, "unknown_instance"),
        ("/webhooks/evolution/", TOKEN, b"{}", 404, "unknown_url"),
        (PATH + "/messages-upsert/more", TOKEN, b"{}", 404, "unknown_url"),
        (PATH, TOKEN, b"", 400, "malformed_json"),
        (PATH, TOKEN, b"{", 400, "malformed_json"),
        (PATH, TOKEN, b'{"data": NaN}', 400, "malformed_json"),
        (PATH, TOKEN, b"[" * 100_000, 400, "malformed_json"),
        (PATH, TOKEN, b"\xff", 400, "malformed_json"),
    ],
)
@pytest.mark.usefixtures("sales")
def test_a_rejected_request_gets_an_error_and_is_not_stored(  # noqa: PLR0913, PLR0917 - each argument is a column of the parameter table
    path: str, token: str, body: bytes, status: int, error: str, post: Post
) -> None:
    response = post(path, body, token=token)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json().keys() == {"error", "detail"}
    assert response["Content-Type"] == "application/json"
    assert not stored_events()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
@pytest.mark.usefixtures("sales")
def test_only_post_is_allowed(method: str, client: Client) -> None:
    response = client.generic(method, f"{PATH}?token={TOKEN}", json.dumps(event()))
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert method == "HEAD" or response.json()["error"] == "method_not_allowed"
    assert not stored_events()


class UnreadableBody(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.usefixtures("sales")
def test_the_body_of_an_unauthenticated_request_is_not_read(post: Post) -> None:
    assert post(token="wrong", **{"wsgi.input": UnreadableBody()}).status_code == 401


@pytest.mark.usefixtures("sales")
def test_a_truncated_body_can_be_retried(post: Post) -> None:
    response = post(CONTENT_LENGTH="1000", **{"wsgi.input": io.BytesIO(b"{}")})
    assert (response.status_code, response.json()["error"]) == (408, "incomplete_body")
    assert not stored_events()


@pytest.mark.usefixtures("sales")
def test_a_body_over_the_limit_is_rejected(post: Post) -> None:
    response = post(CONTENT_LENGTH=str(101 * 1024 * 1024))
    assert (response.status_code, response.json()["error"]) == (413, "body_too_large")


@pytest.mark.usefixtures("sales")
def test_a_body_may_be_larger_than_django_s_limit(settings: LazySettings, post: Post) -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 2_621_440, "other routes keep Django's limit"
    assert post(body=event("x" * 3_000_000)).status_code == 202


@pytest.mark.parametrize(("is_from_sales", "status"), [(True, 503), (False, 202)])
def test_a_large_body_waits_for_another_of_its_sender(
    sales: Instance, post: Post, monkeypatch: pytest.MonkeyPatch, *, is_from_sales: bool, status: int
) -> None:
    monkeypatch.setattr(request_body, "memory", request_body.MemoryBudget(1_000_000))
    with request_body.memory.reserve() as held:
        held.sender = sales.pk if is_from_sales else None
        held.grow(200_000)
        assert post(body=event("x" * 100_000)).status_code == status
        assert post(body=event("small")).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        [],
        [1],
        "text",
        7,
        None,
        {},
        {"event": 7},
        {"event": "new.thing", "data": {}},
        {"data": 10**19},
        {"data": 1},
        {"data": 1.5e-8},
    ],
)
@pytest.mark.usefixtures("sales")
def test_any_json_is_stored_unchanged(body: Any, post: Post) -> None:
    response = post(body=json.dumps(body).encode())
    (row,) = stored_events()
    assert response.status_code == 202
    assert row.payload == body


@pytest.mark.parametrize("text", [r"a\u0000b", r"\ud800", r"\udc00\ud800", r"\uffff"])
@pytest.mark.usefixtures("sales")
def test_text_that_databases_reject_is_accepted(text: str, post: Post) -> None:
    raw = '{"event": "%s", "instance": "%s", "data": {"%s": "%s"}}' % (text, text, text, text)  # noqa: UP031 - str.format would need escaped braces
    assert post(body=raw.encode()).status_code == 202
    assert len(stored_events()) == 1


@pytest.mark.parametrize("depth", [50, 150, 250, 350, 450, 550, 650, 750, 850, 950, 1100])
@pytest.mark.usefixtures("sales")
def test_nested_json_is_stored_or_rejected_with_400(depth: int, post: Post) -> None:
    response = post(body=b'{"event": "x", "data": ' + b"[" * depth + b"]" * depth + b"}")
    assert response.status_code == (202 if stored_events() else 400)


def test_a_body_that_names_another_instance_is_stored_as_foreign(sales: Instance, post: Post) -> None:
    assert post(body=event(instance="support")).status_code == 202
    Worker().drain()
    (row,) = stored_events()
    assert (row.instance, row.outcome) == (sales, Outcome.FOREIGN)
    assert Instance.objects.count() == 1


def test_a_global_webhook_stores_the_event_for_the_instance_in_the_body(sales: Instance, post: Post) -> None:
    Instance.objects.filter(pk=sales.pk).update(is_global_webhook=True)
    assert post(body=event(instance="support")).status_code == 202
    Worker().drain()
    (row,) = stored_events()
    assert row.outcome == Outcome.APPLIED
    assert (row.instance.name, row.instance.server_url) == ("support", SERVER)


@pytest.mark.usefixtures("sales")
def test_a_rejected_request_is_logged_with_its_instance_and_status(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post(token="wrong")
    (record,) = [record for record in caplog.records if record.name == "whatsai.webhook"]
    assert record.levelno == logging.WARNING
    assert "'sales'" in record.getMessage()
    assert "401" in record.getMessage()


@pytest.mark.usefixtures("sales")
def test_a_refusal_is_in_the_language_of_the_client_and_its_log_line_in_english(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.post("/webhooks/evolution/none", b"{}", "application/json", headers={"Accept-Language": "pt-BR"})
    assert (response.status_code, response.json()["error"]) == (401, "unauthorized")
    assert response.json()["detail"].startswith("sem token; envie-o no cabeçalho Authorization")
    assert "no token; send it in the header Authorization" in caplog.text


@pytest.mark.usefixtures("sales", "reset_counts")
@pytest.mark.parametrize(
    ("path", "token"),
    [(PATH, "wrong"), ("/webhooks/evolution/" + "n" * 4000, TOKEN), ("/webhooks/" + "n" * 4000, ""), (PATH, "")],
)
def test_a_flood_of_refused_requests_logs_few_short_lines(
    path: str, token: str, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(300):
        post(path, b"{}", token=token)
    lines = [record for record in caplog.records if record.name == "whatsai.webhook"]
    assert 0 < len(lines) < 60
    assert all(len(str(vars(record))) < 3000 for record in lines)


@pytest.mark.usefixtures("sales", "reset_counts")
def test_a_flood_of_outsiders_hides_no_refusal_of_a_sender(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        post(f"/webhooks/evolution/unknown-{number}")
    caplog.clear()
    post(body=b"{")
    assert [record.args for record in caplog.records if record.name == "whatsai.webhook"] != []


@pytest.mark.usefixtures("sales")
def test_an_accepted_event_logs_nothing_above_debug(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post()
    assert [record.name for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(("body", "status"), [(b"{}", 202), (b"{", 400)])
@pytest.mark.parametrize("name", ["sales", "unknown"])
@pytest.mark.usefixtures("sales")
def test_no_log_record_contains_a_token(
    name: str, body: bytes, status: int, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = f"/webhooks/evolution/{name}"
    responses = [
        post(path, body, HTTP_X_WEBHOOK_TOKEN=TOKEN),
        post(path, body, token=""),
        post(f"{path}?token={TOKEN}", body, token=""),
        post(f"{path}?token={TOKEN}/messages-upsert", body, token=""),
        post(f"{path}?token={TOKEN}", body, token=TOKEN + "-foreign"),
    ]
    expected = [status, 401, status, status, status] if name == "sales" else [404, 401, 404, 404, 404]
    assert [response.status_code for response in responses] == expected
    assert caplog.records
    assert TOKEN not in caplog.text


# --- database ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def background_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate a background thread, so that requests neither send notifications nor query the queue depth."""
    monkeypatch.setattr(queue_depth, "is_over_limit", lambda *_, **__: False)
    notify.delegate_to(threading.Event())
    yield
    notify.delegate_to(None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cache_runtime", "background_thread", "reset_counts")
@pytest.mark.parametrize(
    "body",
    [
        event(),
        {"event": "connection.update", "instance": "sales", "data": {}},
        {"event": "messages.set", "instance": "sales", "data": [{}] * 1000},
        {},
        [],
    ],
)
def test_a_webhook_costs_one_insert_and_no_other_query(
    sales: Instance, post: Post, body: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert post(body=event(key_id="first")).status_code == 202
    other, _ = Instance.objects.upsert("support", SERVER)
    Instance.objects.filter(pk=other.pk).get().save()  # saving `other` leaves the instance `sales` in the cache
    with django_assert_num_queries(1) as queries:
        assert post(body=body).status_code == 202
    assert queries[0]["sql"].strip().startswith("INSERT INTO conversations_webhookevent")
    # For one event, the INSERT skips a duplicate. For a history import, a query before the INSERT finds duplicates.
    is_import = bool(body) and body["event"] == "messages.set"
    with django_assert_num_queries(2 if is_import else 1):
        assert post(body=body).status_code == 202
    assert get_runtime().breaker.is_closed
    assert sales.events.exists()


@pytest.mark.usefixtures("sales", "reset_counts")
def test_received_events_are_counted(post: Post) -> None:
    for _ in range(3):
        post()
    metrics.flush()
    metrics.flush()
    assert metrics.totals() == {"received": 3}


# InternalError is the error of a read-only replica of PostgreSQL.
@pytest.mark.parametrize("error", [OperationalError, InterfaceError, InternalError, DatabaseError])
@pytest.mark.parametrize("statement", ["SELECT", "INSERT"])
@pytest.mark.usefixtures("sales", "reset_counts")
def test_the_sender_must_retry_if_the_database_fails(
    error: type[Exception], statement: str, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.lstrip().startswith(statement):
            raise error("the server closed the connection unexpectedly")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        response = post()
    assert (response.status_code, response.json()["error"]) == (503, "database_unavailable")
    assert int(response["Retry-After"]) > 0
    assert any(record.name == "whatsai.webhook" and record.levelname == "ERROR" for record in caplog.records)
    assert not stored_events()
    metrics.flush()
    assert metrics.totals() == {}


@pytest.mark.usefixtures("sales", "reset_counts")
def test_the_sender_must_retry_if_media_cannot_be_written(
    post: Post, settings: LazySettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "media"
    folder.touch()  # a file in place of the folder: nothing can be written below it
    settings.MEDIA_ROOT = folder
    with_media = event()
    with_media["data"]["message"] = {"imageMessage": {"mimetype": "image/png"}, "base64": "aGVsbG8="}
    response = post(body=with_media)
    assert (response.status_code, response.json()["error"]) == (503, "media_unavailable")
    assert any(record.getMessage().startswith("Webhook NOT STORED") for record in caplog.records)
    assert post().status_code == 202  # an event without media
    assert len(stored_events()) == 1


def test_a_check_stores_nothing_and_names_the_sender_to_the_web_server(sales: Instance) -> None:
    Instance.objects.create(name="other", token_hash=Instance.objects.get(pk=sales.pk).token_hash)
    checks = RequestFactory().post("/", headers={"X-Webhook-Token": TOKEN})
    checks.META[request_body.CHECK_ONLY] = True
    answers = [receive_webhook(checks, name) for name in ("sales", "other", "sales")]
    assert [answer.status_code for answer in answers] == [100] * 3
    assert answers[0].content == answers[2].content != answers[1].content
    assert stored_events() == []
