"""Adds to the OpenAPI schema the query parameters of lists, the type of ids, and descriptions of operations."""

from typing import Any, Protocol, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import BaseSerializer

ID_PARAMETER = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


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
