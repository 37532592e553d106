"""Every error has a stable code of one table, which the documentation lists; a wrong parameter is named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.exceptions import ErrorDetail

from conversations.api.problems import CODES, CONTENT_TYPE, handle, problem
from logs import binding

MEMBERS = ["type", "title", "status", "detail", "code", "request_id"]


@pytest.fixture(autouse=True)
def _request() -> Iterator[None]:
    with binding.bound(request_id="r1"):
        yield


def answer(error: Exception) -> tuple[int, dict[str, Any]]:
    response = handle(error, {})
    assert response is not None
    assert response["Content-Type"] == CONTENT_TYPE
    return response.status_code, json.loads(response.content)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (exceptions.AuthenticationFailed("wrong"), 401, "authentication_failed"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
        (exceptions.NotFound(), 404, "not_found"),
        (Http404("no such row"), 404, "not_found"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.NotAcceptable(), 406, "not_acceptable"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
        (exceptions.NotFound(code="not_in_the_table"), 404, "not_found"),
    ],
)
def test_each_exception_has_a_code_of_its_status(error: Exception, status: int, code: str) -> None:
    found, content = answer(error)
    assert (found, content["status"], content["code"]) == (status, status, code)
    assert CODES[code].status == status
    assert list(content) == MEMBERS
    assert content["request_id"] == "r1"


def test_a_fault_is_left_to_the_handler_of_faults() -> None:
    assert handle(RuntimeError("hunter2"), {}) is None


class Inner(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=3)


class Outer(serializers.Serializer[Any]):
    count = serializers.IntegerField(min_value=1)
    rows = Inner(many=True)
    tags = serializers.ListField(child=serializers.CharField(allow_blank=False))


def test_wrong_parameters_are_named_with_a_code() -> None:
    content = {"count": 0, "rows": [{"name": "abc"}, {"name": "abcd"}, {}], "tags": ["a", ""]}
    outer = Outer(data=content)
    assert not outer.is_valid()
    status, found = answer(serializers.ValidationError(outer.errors))
    assert (status, found["code"]) == (400, "invalid_parameters")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [
        ("count", "min_value"),
        ("rows.1.name", "max_length"),
        ("rows.2.name", "required"),
        ("tags.1", "blank"),
    ]
    assert found["detail"] == "Wrong parameters: count, rows.1.name, rows.2.name, tags.1."


@pytest.mark.parametrize("detail", ["never", ["never"], {"non_field_errors": ["never"]}])
def test_an_error_of_the_whole_content_has_no_name(detail: Any) -> None:
    _, found = answer(serializers.ValidationError(detail, code="odd"))
    assert found["errors"] == [{"name": "", "code": "odd", "detail": "never"}]


def test_a_problem_without_a_request_has_no_request_id() -> None:
    with binding.bound():
        binding.reset()
        assert "request_id" not in problem(404, str(ErrorDetail("Not found.")))


def test_the_documentation_lists_every_code() -> None:
    page = Path("docs/api.md").read_text()
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    documented = [(code.strip(" `"), status.strip()) for code, status in rows if status.strip().isdecimal()]
    assert documented == [(name, str(code.status)) for name, code in CODES.items()]
