"""Describes the endpoint for Evolution's webhooks in the OpenAPI schema."""

from http import HTTPStatus
from typing import Any

from conversations.webhooks.errors import HEADERS, STATUS, ErrorCode

PATH = "/webhooks/evolution/{name}"
SECURITY = "webhook_token"
TEXT = {"type": "string"}
EXAMPLE = {
    "event": "messages.upsert",
    "instance": "sales",
    "data": {
        "key": {"remoteJid": "5512900000027@s.whatsapp.net", "fromMe": False, "id": "3EB0C767D26A1B2E4F21"},
        "pushName": "Mariana",
        "message": {"conversation": "Bom dia!"},
        "messageTimestamp": 1763640000,
    },
}
EVENT = {
    "type": "object",
    "description": "An event of Evolution API. Members that the event does not need are ignored.",
    "required": ["event", "data"],
    "properties": {
        "event": {**TEXT, "examples": ["messages.upsert"]},
        "instance": {**TEXT, "description": "The name of the instance, for a global webhook.", "examples": ["sales"]},
        "server_url": {**TEXT, "description": "The Evolution server.", "examples": ["https://evolution.example"]},
        "date_time": {**TEXT, "examples": ["2026-11-20T12:00:00.000Z"]},
        "data": {"description": "What happened, by the kind of the event."},
    },
    "examples": [EXAMPLE],
}
STORED = {
    "type": "object",
    "required": ["status", "event"],
    "properties": {"status": {**TEXT, "const": "stored"}, "event": {**TEXT, "description": "The event's name."}},
}
REFUSED = {
    "type": "object",
    "required": ["error", "detail"],
    "properties": {"error": {**TEXT, "enum": [code.value for code in ErrorCode]}, "detail": TEXT},
}


def add_webhook(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add the endpoint (a postprocessing hook of drf-spectacular)."""
    components = result["components"]
    components["schemas"] |= {"WebhookEvent": EVENT, "WebhookStored": STORED, "WebhookRefused": REFUSED}
    description = "The token of `manage.py webhook_token`; `X-Webhook-Token` and `?token=` are accepted too."
    components["securitySchemes"][SECURITY] = {"type": "http", "scheme": "bearer", "description": description}
    result["paths"][PATH] = {"post": operation()}
    return result


def operation() -> dict[str, Any]:
    """Return the description of the endpoint. The status of a refusal decides whether Evolution sends it again."""
    refusals: dict[str, list[str]] = {}
    for code, status in STATUS.items():
        refusals.setdefault(str(status), []).append(code.value)
    return {
        "operationId": "webhooks_receive",
        "description": "Store one event of Evolution API. Workers apply it to conversations and messages later.",
        "tags": ["webhooks"],
        "security": [{SECURITY: []}],
        "parameters": [
            {
                "name": "name",
                "in": "path",
                "required": True,
                "schema": {**TEXT, "pattern": "^[^/]+$", "examples": ["sales"]},
                "description": "The name of the instance on the Evolution server.",
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("WebhookEvent")}}},
        "responses": {
            "202": {"description": "The event is stored.", "content": _content("WebhookStored")},
            **{status: _refusal(int(status), codes) for status, codes in sorted(refusals.items())},
        },
    }


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    names = {name for code in codes for name in HEADERS.get(ErrorCode(code), {})}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}",
        "content": _content("WebhookRefused"),
        **({"headers": {name: {"schema": TEXT} for name in sorted(names)}} if names else {}),
    }


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(name)}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
