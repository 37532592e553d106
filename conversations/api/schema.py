"""OpenAPI descriptions of the viewsets: query parameters of their lists, the type of ids, and row descriptions."""

from typing import Any, Protocol, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import BaseSerializer

ID_PARAMETER = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class DescribedViewSet(Protocol):
    """What `RowSchema` reads from a viewset."""

    action: str
    detail: bool
    query_params: type[BaseSerializer[Any]]

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the serializer of the current action's rows."""


class RowSchema(AutoSchema):
    """Describes one operation of a `RowViewSet`."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that drf-spectacular cannot infer from the URL pattern."""
        return [ID_PARAMETER if self.viewset.detail else self.viewset.query_params]

    def get_description(self) -> str:  # type: ignore[override]  # AutoSchema overrides it like this too
        """Return the serializer's docstring for a single row, and the action's or viewset's docstring otherwise."""
        is_single_row = self.viewset.action == "retrieve"
        return get_doc(self.viewset.get_serializer_class()) if is_single_row else super().get_description()

    @property
    def viewset(self) -> DescribedViewSet:
        """The viewset that is being described."""
        return cast("DescribedViewSet", self.view)
