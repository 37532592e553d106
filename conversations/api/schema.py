"""Adds to the OpenAPI schema the query parameters of lists, the type of ids, and descriptions of operations."""

from typing import Any, Protocol, cast

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import BaseSerializer

from conversations.api.pagination import CursorLinksPagination
from conversations.api.query_params import CommaSeparatedField
from conversations.api.serializers.base import RowSerializer

ID_PARAMETER = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class RowExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Describes rows as objects of which only `id` is required, because `fields` leaves members out."""

    target_class = RowSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        """Return the schema of a row."""
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call] # noqa: SLF001 - documented by drf-spectacular
        return {**schema, "required": ["id"]}


class DescribedViewSet(Protocol):
    """The attributes of a viewset that `RowSchema` reads."""

    action: str
    detail: bool
    pagination_class: type[CursorLinksPagination]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the serializer class for the rows of the current action."""

    def parameters(self) -> type[BaseSerializer[Any]]:
        """Return the query parameters of the current action."""


def array_parameters(parameters: BaseSerializer[Any]) -> list[OpenApiParameter]:
    """Return the parameters whose values are separated by commas, which a serializer cannot describe."""
    fields: dict[str, Any] = cast("Any", parameters).fields
    return [
        OpenApiParameter(name, dict(field.array_schema), description=str(field.help_text), style="form", explode=False)
        for name, field in fields.items()
        if isinstance(field, CommaSeparatedField)
    ]


class RowSchema(AutoSchema):
    """Generates the OpenAPI description of one operation of a `RowViewSet`."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that drf-spectacular cannot infer from the URL pattern."""
        path = [ID_PARAMETER] if self.viewset.detail else []
        if self.method != "GET" and not self.viewset.detail:
            return []
        parameters = self.viewset.parameters()
        return [*path, parameters, *array_parameters(parameters())]

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular changed the signature of DRF's method
        """Return the serializer's docstring for `retrieve`, and the docstring of the action or viewset otherwise."""
        is_single_row = self.viewset.action == "retrieve"
        return get_doc(self.viewset.get_serializer_class()) if is_single_row else super().get_description()

    def get_paginated_name(self, serializer_name: str) -> str:
        """Return the name of the component that describes a page of rows."""
        return self.viewset.pagination_class.schema_name.format(serializer_name)

    @property
    def viewset(self) -> DescribedViewSet:
        """The viewset of the operation that `RowSchema` describes."""
        return cast("DescribedViewSet", self.view)
