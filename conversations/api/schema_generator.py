"""Generates the OpenAPI schema in English, whatever the language of the request or of the command is.

Programs are generated from the schema, and the names of its enumerations depend on the labels of choices.
"""

from typing import Any

from django.utils import translation
from drf_spectacular.generators import SchemaGenerator


class EnglishGenerator(SchemaGenerator):
    """The generator of all schemas, also of those that commands and system checks generate."""

    def get_schema(self, *args: Any, **kwargs: Any) -> Any:
        """Return the schema."""
        with translation.override("en"):
            return super().get_schema(*args, **kwargs)  # type: ignore[no-untyped-call]  # the library has no types
