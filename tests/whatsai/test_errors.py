"""Error responses are problem details under `/api/` and pages for people elsewhere, without details of the error."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client

from conversations.api.problems import CONTENT_TYPE as PROBLEM

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("ana"))
    return client


def fails(*_: Any) -> Any:
    raise RuntimeError("hunter2")


def test_a_server_error_under_api_is_json_without_details(client: Client) -> None:
    with connection.execute_wrapper(fails):
        answer = client.get("/api/v1/instances/")
    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
    assert answer.json()["code"] == "server_error"
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert b"hunter2" not in answer.content


def is_down(*_: Any) -> Any:
    raise OperationalError("hunter2")


def test_an_outage_of_the_database_under_api_is_unavailable(client: Client) -> None:
    with connection.execute_wrapper(is_down):
        answer = client.get("/api/v1/instances/")
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (503, PROBLEM, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert b"hunter2" not in answer.content


def test_an_outage_of_the_database_elsewhere_is_unavailable(client: Client) -> None:
    with connection.execute_wrapper(is_down):
        answer = client.get("/admin/")
    assert_is_page(answer, 503)
    assert "The database does not answer" in answer.content.decode()
    assert int(answer["Retry-After"]) > 0


def assert_is_page(answer: Any, status: int) -> None:
    """Check that an answer is a page of ours, in the admin's look, with the id that the logs name."""
    text = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert '<div class="error-page">' in text
    assert "admin/css/base.css" in text
    assert answer["X-Request-ID"] in text
    assert "hunter2" not in text


def test_a_server_error_elsewhere_is_a_page_that_needs_no_database(client: Client) -> None:
    with connection.execute_wrapper(fails):
        assert_is_page(client.get("/admin/"), 500)


def test_a_page_that_is_not_permitted_says_so(client: Client) -> None:
    User.objects.filter(username="ana").update(is_staff=True)
    answer = client.get("/admin/auth/user/")
    assert_is_page(answer, 403)
    assert "ask an administrator" in answer.content.decode().lower()


def test_a_form_without_a_token_says_what_to_do(client: Client) -> None:
    client.handler.enforce_csrf_checks = True
    answer = client.post("/admin/login/", {"username": "hunter2"})
    assert_is_page(answer, 403)
    assert "The form has expired" in answer.content.decode()


def test_an_unknown_host_elsewhere_is_rejected_on_a_page(client: Client) -> None:
    answer = client.get("/admin/", headers={"Host": "hunter2.example"})
    assert_is_page(answer, 400)


def test_an_unknown_page_of_the_admin_is_ours(client: Client, django_assert_max_num_queries: Any) -> None:
    User.objects.filter(username="ana").update(is_staff=True)
    for path in ("/hunter2/", "/admin/hunter2/"):
        with django_assert_max_num_queries(2):  # of the admin: the session and the user
            assert_is_page(client.get(path), 404)


def test_the_pages_of_errors_are_translated(client: Client) -> None:
    answer = client.get("/hunter2/", headers={"Accept-Language": "pt-br"})
    assert '<html lang="pt-br"' in answer.content.decode()


def test_an_unknown_host_under_api_is_rejected_in_json(client: Client) -> None:
    answer = client.get("/api/v1/instances/", headers={"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)


def test_an_unknown_path_is_json_under_api_and_a_page_elsewhere(client: Client) -> None:
    assert client.get("/api/nothing").json()["code"] == "not_found"
    answer = client.get("/nothing/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/v1/", "/api/v1/nothing/", "/api/v2/contacts/"])
def test_an_unknown_path_under_api_is_not_found_in_json_for_every_method(method: str, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.generic(method, path)
    assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM)
    assert method == "HEAD" or answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/", "/api/v1/instances/"])
def test_a_method_that_a_path_does_not_have_is_refused_in_json(client: Client, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PROPFIND"):
        answer = client.generic(method, path)
        assert (answer.status_code, answer["Content-Type"]) == (405, PROBLEM)
        assert answer["Allow"]
        assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/", "/api/docs/", "/api/schema/", "/api/v1/media-ticket/", "/admin/", "/admin/login/"]
)
def test_no_method_fails_on_a_known_path(path: str, client: Client) -> None:
    assert [method for method in METHODS if client.generic(method, path).status_code >= 500] == []
