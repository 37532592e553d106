"""Adds the errors that an operation may answer with to the OpenAPI schema, from the table of `problems`."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from conversations.api.problems import CODES, CONTENT_TYPE

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {**TEXT, "format": "uri-reference"},
        "title": {**TEXT, "description": "The name of the status."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {**TEXT, "description": "What went wrong, for people."},
        "code": {**TEXT, "enum": list(CODES), "description": "What went wrong, for programs; it never changes."},
        "request_id": {**TEXT, "description": "The id of the request in the server's logs."},
        "errors": {
            "type": "array",
            "description": "The reasons why parameters are wrong.",
            "items": {"$ref": "#/components/schemas/ParameterError"},
        },
    },
}
PARAMETER_ERROR = {
    "type": "object",
    "required": ["name", "code", "detail"],
    "properties": {
        "name": {**TEXT, "description": "The parameter's name; empty if the content as a whole is wrong."},
        "code": {**TEXT, "description": "The reason, for programs, such as `required`, `invalid` or `unknown`."},
        "detail": {**TEXT, "description": "The reason, for people."},
    },
}
ANY_OPERATION = (400, 401, 403, 404, 429, 500, 503)
WITH_CONTENT = (413, 415)
WITH_HEADER = {"If-Match": (412,), "Idempotency-Key": (409, 422)}


def add_errors(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add the error responses to all operations (a postprocessing hook of drf-spectacular)."""
    schemas = result["components"].setdefault("schemas", {})
    schemas |= {"Problem": PROBLEM, "ParameterError": PARAMETER_ERROR}
    for operations in result["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            own = {int(status) for status in responses if int(status) >= HTTPStatus.BAD_REQUEST}
            for status in sorted({*ANY_OPERATION, *own, *_statuses(operation)}):
                responses[str(status)] = _response(status)
    return result


def _statuses(operation: dict[str, Any]) -> Iterator[int]:
    """Yield the statuses of the errors that belong to what a request of the operation may contain."""
    if "requestBody" in operation:
        yield from WITH_CONTENT
    for parameter in operation.get("parameters", ()):
        yield from WITH_HEADER.get(parameter["name"], ())


def _response(status: int) -> dict[str, Any]:
    reasons = [f"`{name}`: {code.when}" for name, code in CODES.items() if code.status == status]
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": "\n\n".join([HTTPStatus(status).phrase, *reasons]), "content": content}
