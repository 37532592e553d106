"""How OpenAPI learns what a viewset declares: the parameters of its list, that ids are numbers, what a row is."""

from typing import TYPE_CHECKING, Any, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

if TYPE_CHECKING:
    from conversations.api.views import RowViewSet

ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)


class Schema(AutoSchema):
    """Describes an operation of a `RowViewSet`."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that the routes alone do not tell."""
        return [ID if self.viewset.detail else self.viewset.parameters]

    def get_description(self) -> str:  # type: ignore[override]  # as the class we extend
        """Return what one row is, from its serializer; the viewset's own text tells what a list is."""
        one = self.viewset.action == "retrieve"
        return get_doc(self.viewset.get_serializer_class()) if one else super().get_description()

    @property
    def viewset(self) -> "RowViewSet":
        """The view."""
        return cast("RowViewSet", self.view)
