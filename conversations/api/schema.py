"""Adds to the OpenAPI schema the query parameters of lists, the type of ids, descriptions of operations, and errors."""

from typing import Any, Protocol, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import BaseSerializer

ID_PARAMETER = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


ERROR = {
    "type": "object",
    "description": "`detail` describes an error that is not about one parameter.",
    "additionalProperties": True,
}
# status code → when an operation answers with it
ERRORS = {
    "400": "A parameter is wrong: the body names each wrong parameter and the reasons.",
    "401": "No token, or a wrong one.",
    "403": "A session of the admin without a CSRF token.",
    "404": "There is no such row, or the cursor does not belong to the list.",
    "429": "A wrong token, while many others are wrong too.",
}


def add_errors(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add the error responses to all operations (a postprocessing hook of drf-spectacular)."""
    result["components"].setdefault("schemas", {})["Error"] = ERROR
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for operations in result["paths"].values():
        for method, operation in operations.items():
            for code in _error_codes(method, operation):
                operation["responses"][code] = {"description": ERRORS[code], "content": content}
    return result


def _error_codes(method: str, operation: dict[str, Any]) -> list[str]:
    has_query = any(parameter["in"] == "query" for parameter in operation.get("parameters", ()))
    return [*(["400"] if has_query else []), "401", *(["403"] if method == "post" else []), "404", "429"]


class DescribedViewSet(Protocol):
    """The attributes of a viewset that `RowSchema` reads."""

    action: str
    detail: bool
    query_params: type[BaseSerializer[Any]]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the serializer class for the rows of the current action."""


class RowSchema(AutoSchema):
    """Generates the OpenAPI description of one operation of a `RowViewSet`."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that drf-spectacular cannot infer from the URL pattern."""
        return [ID_PARAMETER if self.viewset.detail else self.viewset.query_params]

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular changed the signature of DRF's method
        """Return the serializer's docstring for `retrieve`, and the docstring of the action or viewset otherwise."""
        is_single_row = self.viewset.action == "retrieve"
        return get_doc(self.viewset.get_serializer_class()) if is_single_row else super().get_description()

    @property
    def viewset(self) -> DescribedViewSet:
        """The viewset of the operation that `RowSchema` describes."""
        return cast("DescribedViewSet", self.view)
