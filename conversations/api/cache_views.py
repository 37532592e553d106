"""The endpoint of the cache's counters, for administrators."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cachelayer.ops import statistics
from conversations.access.policy import Access
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.query_params import Parameters
from conversations.models import Scope


class IsAdministrator(BasePermission):
    """Admits superusers whose token has the scope `manage` and is not limited to some instances."""

    message = _("Only administrators may do this, with a token that has the scope manage in all instances.")

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - DRF defines the signature
        """Return whether the request may see what concerns all instances."""
        access: object = request.auth
        return isinstance(access, Access) and access.is_administrator and access.instances(Scope.MANAGE) is None


class NamespaceStatisticsSerializer(serializers.Serializer[Any]):
    """The counters of one namespace of the cache."""

    hit_rate = serializers.FloatField(
        allow_null=True, help_text="The share of the reads that a cache answered; null without reads."
    )
    local = serializers.DictField(child=serializers.IntegerField(), help_text="Counts of the caches of the processes.")
    shared = serializers.DictField(child=serializers.IntegerField(), help_text="Counts of the shared store.")


class CacheStatisticsSerializer(serializers.Serializer[Any]):
    """The counters of the cache, summed over all processes since the last reset."""

    namespaces = serializers.DictField(child=NamespaceStatisticsSerializer())
    events = serializers.DictField(
        child=serializers.IntegerField(), help_text="Counts of events that belong to no namespace."
    )


class CacheStatisticsView(APIView):
    """The counters of the cache, summed over all processes; each process adds its counts every two seconds."""

    permission_classes = (IsAdministrator,)
    content_negotiation_class = JSONOnlyNegotiation

    @extend_schema(responses=CacheStatisticsSerializer)
    def get(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the view's docstring
        Parameters.parse(request.query_params)
        return Response(statistics.report(statistics.totals()))
