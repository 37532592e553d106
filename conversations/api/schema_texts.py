"""Says in the OpenAPI schema that texts in requests have no NUL character, which PostgreSQL cannot store.

DRF refuses such texts.
"""

from collections.abc import Iterator
from typing import Any

WITHOUT_NUL = r"^[^\x00]*$"
LIMITS = ("pattern", "format", "enum", "$ref")
PREFIX = "#/components/schemas/"


def limit_texts(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add a pattern to the texts that have no limit of their own (a postprocessing hook of drf-spectacular)."""
    components = result["components"].get("schemas", {})
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                _limit(parameter["schema"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = components.get(content["schema"].get("$ref", "").removeprefix(PREFIX), content["schema"])
                for schema in body.get("properties", {}).values():
                    _limit(schema)
    return result


def _limit(schema: dict[str, Any]) -> None:
    for text in _texts(schema):
        if not any(limit in text for limit in LIMITS):
            text["pattern"] = WITHOUT_NUL


def _texts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema of a text, or that of the texts in a list."""
    types = schema.get("type", [])
    if "string" in (types if isinstance(types, list) else [types]):
        yield schema
    if "items" in schema:
        yield from _texts(schema["items"])
