"""Adds examples to the OpenAPI schema: one for each property and parameter whose name is in a table."""

from typing import Any

TIME = "2026-11-20T12:00:00Z"
# name → an example; a property whose type does not fit, such as an object, gets none
EXAMPLES: dict[str, Any] = {
    "at": TIME,
    "contact_id": 7,
    "conversation_id": 12,
    "created_at": TIME,
    "custom_name": "Mariana (oficina)",
    "edited_at": TIME,
    "emoji": "👍",
    "expires_at": TIME,
    "file_name": "pedido.pdf",
    "id": 12,
    "instance_id": 1,
    "is_archived": False,
    "is_pinned": True,
    "jid": "5512900000027@s.whatsapp.net",
    "key_id": "3EB0C767D26A1B2E4F21",
    "label": "4",
    "last_seen_at": TIME,
    "lid": "123456789012345",
    "mimetype": "image/jpeg",
    "muted_until": TIME,
    "name": "Mariana",
    "phone": "5512900000027",
    "push_name": "Mari",
    "sender_name": "Mariana",
    "text": "Bom dia!",
    "timestamp": TIME,
    "unread_count": 3,
    "until": 857,
    "updated_at": TIME,
    "Idempotency-Key": "0b5d7a52-9d3f-4a43-8a4b-5f6b2f1f7c11",
    "If-Match": '"5f0c1d2e3a4b5c6d7e8f901234567890"',
}
TYPES: dict[type, str] = {bool: "boolean", int: "integer", str: "string"}


def add_examples(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add the examples of the table (a postprocessing hook of drf-spectacular)."""
    for schema in result["components"]["schemas"].values():
        for name, found in schema.get("properties", {}).items():
            _add(name, found)
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                _add(parameter["name"], parameter["schema"])
    return result


def _add(name: str, schema: dict[str, Any]) -> None:
    """Add an example to a schema of one type, or of one type and null."""
    types = schema.get("type", [])
    if name in EXAMPLES and "enum" not in schema:
        example = EXAMPLES[name]
        if TYPES[type(example)] in (types if isinstance(types, list) else [types]):
            schema["examples"] = [example]
