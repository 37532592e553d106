"""Errors of the API as problem details (RFC 9457): `CODES` lists the stable code of every error.

The `code` is the same in every language; `title` and `detail` are in the language of the request.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.views import exception_handler

from logs import binding

CONTENT_TYPE = "application/problem+json"
GENERAL_ERRORS = "non_field_errors"  # DRF's name for the errors of no single parameter


class Code(NamedTuple):
    """The HTTP status of an error, and when it happens."""

    status: int
    when: str


# The first code of a status is its general one, for errors that say nothing more precise.
CODES = {
    "bad_request": Code(400, "The request is malformed, or its host is unknown."),
    "invalid_parameters": Code(400, "Parameters are wrong; `errors` names each one."),
    "parse_error": Code(400, "The content is not JSON."),
    "not_authenticated": Code(401, "The request has neither a token nor a session."),
    "authentication_failed": Code(401, "The token is unknown, expired or revoked, or its user is inactive."),
    "invalid_ticket": Code(401, "The ticket is forged, has ended, or is for something else."),
    "permission_denied": Code(403, "The token's scope or the role does not permit this; or no CSRF token."),
    "not_found": Code(404, "There is no such path or row, or the cursor belongs to another list."),
    "method_not_allowed": Code(405, "The path does not have this method; `Allow` lists those that it has."),
    "not_acceptable": Code(406, "The path has no representation that `Accept` permits."),
    "incomplete_content": Code(408, "The content did not arrive completely, or not in time."),
    "conflict": Code(409, "The request conflicts with the state of the row, or with another request."),
    "media_gone": Code(410, "The file of the message is no longer stored."),
    "cursor_unknown": Code(
        410, "The cursor of `changes/` is unknown: take a new one with `after=now`, and load all rows."
    ),
    "request_in_progress": Code(409, "The first request with the same `Idempotency-Key` still runs."),
    "answer_not_stored": Code(409, "The first request succeeded; its answer was secret, or access has changed since."),
    "precondition_failed": Code(412, "The row is not the one that `If-Match` names."),
    "content_too_large": Code(413, "The content is too large."),
    "uri_too_long": Code(414, "The path and the query are too long."),
    "unsupported_media_type": Code(415, "The content is not `application/json`."),
    "range_not_satisfiable": Code(416, "The file has no such part; `Content-Range` says how long it is."),
    "unprocessable_content": Code(422, "The request is understood, but cannot be processed."),
    "idempotency_key_reused": Code(422, "The `Idempotency-Key` was used with another request."),
    "throttled": Code(429, "Too many requests; `Retry-After` says when to ask again."),
    "headers_too_large": Code(431, "The headers are too long, or too many."),
    "server_error": Code(500, "The server failed. Its logs have the traceback under `request_id`."),
    "not_implemented": Code(501, "The content has a transfer coding that the server does not know."),
    "unavailable": Code(503, "The database is not available or too slow now; `Retry-After` says when to ask again."),
}


# The titles of the errors.
PHRASES = (
    *(noop("Bad Request"), noop("Unauthorized"), noop("Forbidden"), noop("Not Found"), noop("Method Not Allowed")),
    *(noop("Not Acceptable"), noop("Request Timeout"), noop("Conflict"), noop("Gone"), noop("Precondition Failed")),
    *(noop("Request Entity Too Large"), noop("Unsupported Media Type"), noop("Requested Range Not Satisfiable")),
    *(noop("Unprocessable Entity"), noop("Too Many Requests"), noop("Internal Server Error")),
    *(noop("Request-URI Too Long"), noop("URI Too Long")),
    *(noop("Request Header Fields Too Large"), noop("Not Implemented")),
    *(
        noop("Service Unavailable"),
        noop("Content Too Large"),
        noop("Range Not Satisfiable"),
        noop("Unprocessable Content"),
    ),
)


def general_code(status: int) -> str:
    """Return the code of an error with an HTTP status that says nothing more precise."""
    return next((code for code, known in CODES.items() if known.status == status), "error")


def problem(status: int, detail: str, code: str = "", errors: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Return a problem: the content of an error answer.

    Args:
        status: the HTTP status.
        detail: what went wrong, in one sentence: in English, if it is marked for translation, or in any language.
        code: the name of the error in `CODES`; any other is replaced by the general one of the status.
        errors: one `{"name", "code", "detail"}` for each reason why a parameter is wrong.
    """
    found: dict[str, Any] = {
        "type": "about:blank",
        "title": _(HTTPStatus(status).phrase),
        "status": status,
        "detail": _(detail) if detail else "",
        "code": code if code in CODES else general_code(status),
    }
    if request_id := binding.current().get("request_id"):
        found["request_id"] = request_id
    return {**found, "errors": list(errors)} if errors else found


def problem_response(content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return the answer with a problem."""
    return JsonResponse(content, status=content["status"], headers=headers, content_type=CONTENT_TYPE)


def handle(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the answer to an exception of a view (DRF's `EXCEPTION_HANDLER`); None for a fault of the server."""
    response = exception_handler(error, context)
    if response is None:
        return None
    status, headers = response.status_code, _headers(response, error)
    if isinstance(error, ValidationError):
        errors = list(_reasons(error.detail))
        names = ", ".join(dict.fromkeys(reason["name"] for reason in errors if reason["name"]))
        detail = _("Wrong parameters: %(names)s.") % {"names": names} if names else _("The content is wrong.")
        return problem_response(problem(status, detail, "invalid_parameters", errors), headers)
    code = getattr(error.detail, "code", "") if isinstance(error, APIException) else ""
    return problem_response(problem(status, str(response.data["detail"]), code), headers)


def _headers(response: HttpResponse, error: Exception) -> dict[str, str]:
    """Return the headers that DRF or the error itself (`headers`) adds to the answer."""
    added = {name: value for name, value in response.items() if name != "Content-Type"}
    return {**added, **getattr(error, "headers", {})}


def _reasons(detail: Any, name: str = "") -> Iterator[dict[str, str]]:
    """Yield each reason of a `ValidationError`; a nested parameter is named `outer.inner`, an item `outer.0`."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _reasons(value, name if key == GENERAL_ERRORS else f"{name}.{key}".lstrip("."))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            is_nested = isinstance(value, Mapping | list)
            yield from _reasons(value, f"{name}.{index}".lstrip(".") if is_nested else name)
    else:
        yield {
            "name": name,
            "code": str(getattr(detail, "code", "invalid")),
            "detail": _(str(detail)) if detail else "",
        }
