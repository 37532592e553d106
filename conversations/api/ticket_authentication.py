"""Issues media tickets, and authenticates requests for media with them."""

from time import time
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cachelayer.orm.managers import MAX_ID
from conversations.access.policy import Access
from conversations.access.reading import Bearer, access_of_user, bearer_of_token_id
from conversations.api import media_tickets
from conversations.api.media_tickets import Ticket
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import access_of
from conversations.api.query_params import Parameters
from logs.binding import bind

TICKET = "ticket"  # the query parameter


class TicketAuthentication(BaseAuthentication):
    """Authenticates requests for media with a media ticket in the URL."""

    def authenticate(self, request: Request) -> tuple[Any, Access] | None:
        """Return the user of a ticket and what the token or the user may do now; None for a request without a ticket.

        Raises:
            AuthenticationFailed: the ticket is forged, has ended, or belongs to another message; or the token or the
                user behind it has ended.
        """
        text = request.query_params.get(TICKET)
        if text is None:
            return None
        ticket = media_tickets.read(text, time())
        pk = request.parser_context["kwargs"]["pk"] if request.parser_context else ""
        if ticket is None or ticket.message_id not in (None, int(pk)):
            raise AuthenticationFailed("Invalid media ticket.", code="invalid_ticket")
        found = _bearer(ticket)
        if found is None:
            raise AuthenticationFailed("Invalid media ticket.", code="invalid_ticket")
        bind(user=found.user.pk)
        return found.user, found.access


def _bearer(ticket: Ticket) -> Bearer | None:
    """Return the user behind a ticket and what is permitted now; None if the token or the user has ended."""
    if ticket.token_id is not None:
        return bearer_of_token_id(ticket.token_id)
    user = User.objects.filter(pk=ticket.user_id).first()
    access = access_of_user(user) if user else None
    return Bearer(user, access) if user and access else None


class TicketScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Describes `TicketAuthentication` in the OpenAPI schema."""

    target_class = "conversations.api.ticket_authentication.TicketAuthentication"
    name = "media_ticket"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - defined by the base class
        """Return the description of the query parameter."""
        return {
            "type": "apiKey",
            "in": "query",
            "name": TICKET,
            "description": "A media ticket of `media-ticket/`, for pages that cannot send a header.",
        }


class TicketParameters(Parameters):
    """The query parameters of a media ticket."""

    message = serializers.IntegerField(
        default=None, min_value=1, max_value=MAX_ID, help_text="The only message whose media the ticket shows."
    )


class MediaTicketSerializer(serializers.Serializer[Any]):
    """A media ticket: `?ticket=…` in the URL of a medium replaces the header `Authorization` for reading it."""

    ticket = serializers.CharField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)


class MediaTicketView(APIView):
    """Issues media tickets."""

    content_negotiation_class = JSONOnlyNegotiation

    @extend_schema(operation_id="media_ticket_retrieve", parameters=[TicketParameters], responses=MediaTicketSerializer)
    def get(self, request: Request) -> Response:
        """Get a text that, as `?ticket=…`, lets `<img>` and `<audio>` load media for 15 to 30 minutes.

        A ticket permits what its token or user may read at the time of use, so it ends with them. Tickets of one period
        of 15 minutes are equal.
        """
        parameters = TicketParameters.parse(request.query_params)
        ticket = media_tickets.issue(access_of(request), time(), parameters["message"])
        shown = {"ticket": media_tickets.sign(ticket), "expires_at": ticket.expires_at}
        return Response(MediaTicketSerializer(shown).data)
