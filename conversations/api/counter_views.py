"""The endpoint that counts the conversations of several instances by state, for the sidebar of an inbox."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.cache_status import CacheStatusView
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import access_of
from conversations.api.query_params import Parameters, instance_field
from conversations.api.schema import array_parameters
from conversations.models import Conversation
from conversations.models.conversation_counters import COUNTERS, UNREAD_MESSAGES, Counts, fetch_counters, total

KINDS = tuple(Conversation.Kind.values)
STATES = tuple(name for name in COUNTERS if name not in KINDS)


def _query(name: str) -> str:
    words = {True: "true", False: "false"}
    return "&".join(f"{filter_name}={words.get(value, value)}" for filter_name, value in COUNTERS[name].items())


def _counter(name: str) -> serializers.IntegerField:
    query = _query(name)
    return serializers.IntegerField(
        min_value=0, help_text=f"The number of rows of `conversations/{f'?{query}' if query else ''}`."
    )


class CountersParameters(Parameters):
    """Query parameters of the counters."""

    instance = instance_field()


KindsSerializer = type("KindsSerializer", (serializers.Serializer,), {name: _counter(name) for name in KINDS})
CountersSerializer = type(
    "CountersSerializer",
    (serializers.Serializer,),
    {
        **{name: _counter(name) for name in STATES},
        UNREAD_MESSAGES: serializers.IntegerField(
            min_value=0, help_text="The sum of `unread_count` of the rows of `conversations/`."
        ),
        "by_kind": KindsSerializer(),
    },
)


class InstanceCountersSerializer(CountersSerializer):  # type: ignore[misc,valid-type]  # a generated class
    """The counters of one instance."""

    instance_id = serializers.IntegerField()


class AllCountersSerializer(serializers.Serializer[Any]):
    """The counters of several instances."""

    total = CountersSerializer(help_text="The sum over the instances.")
    results = InstanceCountersSerializer(many=True)


class CountersSchema(AutoSchema):
    """Generates the OpenAPI description of the counters."""

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters."""
        return [CountersParameters, *array_parameters(CountersParameters())]


class CountersView(CacheStatusView):
    """Count the conversations of the instances that the request may read, for each instance and in total.

    A counter is the length of the list of conversations with certain filters.
    """

    content_negotiation_class = JSONOnlyNegotiation
    schema = CountersSchema()

    @extend_schema(responses=AllCountersSerializer)
    def get(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the view's docstring
        params = CountersParameters.parse(request.query_params)
        counters = fetch_counters(access_of(request).visible(params["instance"]))
        results = [{"instance_id": pk, **_shown(counts)} for pk, counts in counters.items()]
        return Response({"total": _shown(total(counters.values())), "results": results})


def _shown(counts: Counts) -> dict[str, Any]:
    states = {name: counts[name] for name in (*STATES, UNREAD_MESSAGES)}
    return {**states, "by_kind": {name: counts[name] for name in KINDS}}
