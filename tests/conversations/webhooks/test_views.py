import io
import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from tests.conversations.webhooks.conftest import PATH, SERVER, TOKEN, Post, event

Outcome = WebhookEvent.Outcome


def stored() -> list[WebhookEvent]:
    return list(WebhookEvent.objects.order_by("id"))


def test_an_event_is_stored_and_named_in_the_answer(sales: Instance, post: Post) -> None:
    response = post()
    (row,) = stored()
    assert response.status_code == 202
    assert response.json() == {"status": "stored", "event": "messages.upsert"}
    assert (row.instance, row.name, row.outcome) == (sales, "messages.upsert", Outcome.STORED)


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/evolution/sales",
        "/webhooks/evolution/sales/",
        "/webhooks/evolution/sales//",
        "//webhooks/evolution/sales",
        "///webhooks//evolution///sales/",
        "/webhooks/evolution/sales/messages-upsert",
        "/webhooks/evolution/sales/messages-upsert/",
        "/webhooks/evolution/sales//messages-upsert",
        "//webhooks//evolution//sales//messages-upsert//",
        f"/webhooks/evolution/sales?token={TOKEN}",
        f"/webhooks/evolution/sales/?token={TOKEN}/messages-upsert",
        f"/webhooks/evolution/sales//messages-upsert/?token={TOKEN}",
    ],
)
@pytest.mark.usefixtures("sales")
def test_every_way_of_writing_the_url_is_taken_and_none_redirected(
    path: str, settings: LazySettings, post: Post
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.APPEND_SLASH = True
    assert post(path, token="" if "token=" in path else TOKEN).status_code == 202
    assert len(stored()) == 1


@pytest.mark.usefixtures("sales")
def test_the_server_may_be_called_by_any_name_and_says_how_long_its_answer_is(post: Post) -> None:
    response = post(HTTP_HOST="a-name-in-the-same-network:8000")
    assert response.status_code == 202
    assert response["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("path", ["/webhooks/evolution/unknown", "/webhooks/evolution", "//webhooks/other/sales/a/b"])
@pytest.mark.django_db
def test_a_url_that_leads_nowhere_is_not_redirected_either(path: str, settings: LazySettings, post: Post) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert post(path).status_code == 404


@pytest.mark.parametrize("path", [PATH + "/messages-upsert", f"{PATH}?token={TOKEN}/messages-upsert"])
@pytest.mark.usefixtures("sales")
def test_the_url_names_the_event_where_the_body_does_not(path: str, post: Post) -> None:
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
def test_the_body_is_json_whatever_the_content_type_says(content_type: str, post: Post) -> None:
    assert post(content_type=content_type).status_code == 202


@pytest.mark.usefixtures("sales")
def test_no_csrf_token_is_asked_for() -> None:
    response = Client(enforce_csrf_checks=True).post(f"{PATH}?token={TOKEN}", event(), content_type="application/json")
    assert response.status_code == 202


@pytest.mark.parametrize("name", ["Vendas São Paulo", "客服", "a.b-c_d", "100%", "what? #1", "👋", "it's & co"])
@pytest.mark.django_db
def test_an_instance_may_have_any_name(name: str, post: Post) -> None:
    instance, _ = Instance.objects.upsert(name, SERVER)
    token = Instance.objects.issue_token(instance.pk)
    response = post(f"/webhooks/evolution/{quote(name, safe='')}/messages-upsert", event(instance=name), token=token)
    assert response.status_code == 202
    assert stored()[0].instance == instance


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
def test_a_refusal_says_what_is_wrong_and_stores_nothing(  # noqa: PLR0913, PLR0917 - a table's columns
    path: str, token: str, body: bytes, status: int, error: str, post: Post
) -> None:
    response = post(path, body, token=token)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json().keys() == {"error", "detail"}
    assert response["Content-Type"] == "application/json"
    assert not stored()


@pytest.mark.usefixtures("sales")
def test_a_refused_token_is_asked_for_as_http_has_it(post: Post) -> None:
    assert post(token="wrong")["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
@pytest.mark.usefixtures("sales")
def test_only_post_is_allowed(method: str, client: Client) -> None:
    response = client.generic(method, f"{PATH}?token={TOKEN}", json.dumps(event()))
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert method == "HEAD" or response.json()["error"] == "method_not_allowed"
    assert not stored()


class Unreadable(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("the body of a stranger was read")


@pytest.mark.usefixtures("sales")
def test_a_stranger_s_body_is_not_read(post: Post) -> None:
    assert post(token="wrong", **{"wsgi.input": Unreadable()}).status_code == 401


@pytest.mark.usefixtures("sales")
def test_a_body_cut_short_is_to_be_sent_again(post: Post) -> None:
    response = post(CONTENT_LENGTH="1000", **{"wsgi.input": io.BytesIO(b"{}")})
    assert (response.status_code, response.json()["error"]) == (408, "incomplete_body")
    assert not stored()


@pytest.mark.usefixtures("sales")
def test_a_body_over_the_limit_is_too_large(post: Post) -> None:
    response = post(CONTENT_LENGTH=str(101 * 1024 * 1024))
    assert (response.status_code, response.json()["error"]) == (413, "body_too_large")


@pytest.mark.usefixtures("sales")
def test_a_body_may_be_larger_than_django_s_limit(settings: LazySettings, post: Post) -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 2_621_440, "other routes keep Django's limit"
    assert post(body=event("x" * 3_000_000)).status_code == 202


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
        {"data": 10**4000},
        {"data": 1},
        {"data": 1.5e-300},
    ],
)
@pytest.mark.usefixtures("sales")
def test_any_json_is_accepted_and_kept(body: Any, post: Post) -> None:
    response = post(body=json.dumps(body).encode())
    (row,) = stored()
    assert response.status_code == 202
    assert row.payload == body


@pytest.mark.parametrize("text", [r"a\u0000b", r"\ud800", r"\udc00\ud800", r"\uffff"])
@pytest.mark.usefixtures("sales")
def test_text_that_a_database_refuses_is_accepted(text: str, post: Post) -> None:
    raw = '{"event": "%s", "instance": "%s", "data": {"%s": "%s"}}' % (text, text, text, text)  # noqa: UP031 - braces
    assert post(body=raw.encode()).status_code == 202
    assert len(stored()) == 1


@pytest.mark.parametrize("depth", [50, 150, 250, 350, 450, 550, 650, 750, 850, 950, 1100])
@pytest.mark.usefixtures("sales")
def test_nesting_is_stored_or_refused_but_never_an_error_of_ours(depth: int, post: Post) -> None:
    response = post(body=b'{"event": "x", "data": ' + b"[" * depth + b"]" * depth + b"}")
    assert response.status_code == (202 if stored() else 400)


def test_a_body_about_another_instance_is_kept_apart(sales: Instance, post: Post) -> None:
    assert post(body=event(instance="support")).status_code == 202
    Worker().drain()
    (row,) = stored()
    assert (row.instance, row.outcome) == (sales, Outcome.FOREIGN)
    assert Instance.objects.count() == 1


def test_a_global_webhook_stores_with_the_instance_that_the_body_names(sales: Instance, post: Post) -> None:
    Instance.objects.filter(pk=sales.pk).update(is_global_webhook=True)
    assert post(body=event(instance="support")).status_code == 202
    Worker().drain()
    (row,) = stored()
    assert row.outcome == Outcome.APPLIED
    assert (row.instance.name, row.instance.server_url) == ("support", SERVER)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("statement", ["SELECT", "INSERT"])
@pytest.mark.usefixtures("sales")
def test_when_the_database_fails_the_event_is_to_be_sent_again(
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
    assert not stored()


@pytest.mark.usefixtures("sales")
def test_a_refusal_is_logged_with_the_instance_and_the_reason(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post(token="wrong")
    (record,) = [record for record in caplog.records if record.name == "whatsai.webhook"]
    assert record.levelno == logging.WARNING
    assert "'sales'" in record.getMessage()
    assert "401" in record.getMessage()


@pytest.mark.usefixtures("sales")
def test_an_accepted_event_logs_nothing_above_debug(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post()
    assert [record.name for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(("body", "status"), [(b"{}", 202), (b"{", 400)])
@pytest.mark.parametrize("name", ["sales", "unknown"])
@pytest.mark.usefixtures("sales")
def test_no_record_holds_a_token(
    name: str, body: bytes, status: int, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = f"/webhooks/evolution/{name}"
    answers = [
        post(path, body, HTTP_X_WEBHOOK_TOKEN=TOKEN),
        post(path, body, token=""),
        post(f"{path}?token={TOKEN}", body, token=""),
        post(f"{path}?token={TOKEN}/messages-upsert", body, token=""),
        post(f"{path}?token={TOKEN}", body, token=TOKEN + "-wrong"),
    ]
    expected = [status, 401, status, status, 401] if name == "sales" else [404] * 5
    assert [answer.status_code for answer in answers] == expected
    assert caplog.records
    assert TOKEN not in caplog.text
