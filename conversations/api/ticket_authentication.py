"""Issues tickets, and authenticates requests for media and for the event stream with them."""

from dataclasses import replace
from time import time
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
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
from conversations.access.sessions import find_session_key, is_live, session_digest
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import access_of
from conversations.api.query_params import Parameters
from conversations.api.tickets import Purpose, Ticket, issue, read, sign
from logs.binding import bind

TICKET = "ticket"  # the query parameter


class TicketAuthentication(BaseAuthentication):
    """Authenticates requests with a ticket in the URL; subclasses say with which ones."""

    purpose: Purpose
    description: str  # of the ticket, in the schema
    name: str  # of the ticket, in the schema and in the errors

    def authenticate(self, request: Request) -> tuple[Any, Access] | None:
        """Return the user of a ticket and what the token or the user may do now; None for a request without a ticket.

        Raises:
            AuthenticationFailed: the ticket is forged, has ended, or has another purpose; or the token or the user
                behind it has ended.
        """
        text = request.query_params.get(TICKET)
        if text is None:
            return None
        ticket = read(text, self.purpose, time())
        found = self.bearer(ticket) if ticket is not None and self.permits(ticket, request) else None
        if found is None:
            raise AuthenticationFailed(_("The ticket is invalid."), code="invalid_ticket")
        bind(user=found.user.pk)
        return found.user, found.access

    def permits(self, ticket: Ticket, request: Request) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether a ticket may be used for a request."""
        return True

    def bearer(self, ticket: Ticket) -> Bearer | None:
        """Return the user behind a ticket and what is permitted now; None if the token or the user has ended."""
        if ticket.token_id is not None:
            return bearer_of_token_id(ticket.token_id)
        user = User.objects.filter(pk=ticket.user_id).first()
        access = access_of_user(user) if user else None
        return Bearer(user, access) if user and access else None


class MediaTicketAuthentication(TicketAuthentication):
    """Authenticates requests for media with a media ticket in the URL."""

    purpose = Purpose.MEDIA
    name = "media_ticket"
    description = "A media ticket of `media-ticket/`, for pages that cannot send a header."

    def permits(self, ticket: Ticket, request: Request) -> bool:
        """Return whether the ticket is for this message, or for all."""
        pk = request.parser_context["kwargs"]["pk"] if request.parser_context else ""
        return ticket.message_id in (None, int(pk))


class EventTicketAuthentication(TicketAuthentication):
    """Authenticates requests for the event stream with an event ticket in the URL."""

    purpose = Purpose.EVENTS
    name = "event_ticket"
    description = "An event ticket of `event-ticket/`, for `EventSource`, which cannot send a header."

    def bearer(self, ticket: Ticket) -> Bearer | None:
        """Return the same as the base class, with the session of the ticket; None also if the session has ended."""
        found = super().bearer(ticket)
        if found is None or ticket.token_id is not None:
            return found
        session_key = find_session_key(ticket.session)
        if session_key is None or not is_live(session_key, found.user):
            return None
        return Bearer(found.user, replace(found.access, session_key=session_key))


class TicketScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Describes `TicketAuthentication` in the OpenAPI schema."""

    target_class = TicketAuthentication
    match_subclasses = True

    @property
    def name(self) -> str:  # type: ignore[override]  # a class attribute in the base class
        """Return the name of the scheme."""
        return str(self.target.name)

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - defined by the base class
        """Return the description of the query parameter."""
        return {"type": "apiKey", "in": "query", "name": TICKET, "description": self.target.description}


class TicketParameters(Parameters):
    """The query parameters of a media ticket."""

    message = serializers.IntegerField(
        default=None, min_value=1, max_value=MAX_ID, help_text="The only message whose media the ticket shows."
    )


class TicketSerializer(serializers.Serializer[Any]):
    """A ticket: `?ticket=…` in a URL replaces the header `Authorization` for reading what the ticket is for."""

    ticket = serializers.CharField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)


class MediaTicketView(APIView):
    """Issues media tickets."""

    content_negotiation_class = JSONOnlyNegotiation

    @extend_schema(operation_id="media_ticket_retrieve", parameters=[TicketParameters], responses=TicketSerializer)
    def get(self, request: Request) -> Response:
        """Get a text that, as `?ticket=…`, lets `<img>` and `<audio>` load media for 15 to 30 minutes.

        A ticket permits what its token or user may read at the time of use, so it ends with them. Tickets of one period
        of 15 minutes are equal.
        """
        parameters = TicketParameters.parse(request.query_params)
        return _answer(issue(access_of(request), time(), parameters["message"]), Purpose.MEDIA)


class EventTicketView(APIView):
    """Issues event tickets."""

    content_negotiation_class = JSONOnlyNegotiation

    @extend_schema(operation_id="event_ticket_retrieve", responses=TicketSerializer)
    def get(self, request: Request) -> Response:
        """Get a text that, as `?ticket=…`, lets a browser's `EventSource` open `events/` for 15 to 30 minutes.

        The end of the ticket does not end a stream, the end of its token, session or user does.
        """
        access = access_of(request)
        session = session_digest(access.session_key) if access.session_key else ""
        return _answer(issue(access, time(), session=session), Purpose.EVENTS)


def _answer(ticket: Ticket, purpose: Purpose) -> Response:
    shown = {"ticket": sign(ticket, purpose), "expires_at": ticket.expires_at}
    return Response(TicketSerializer(shown).data)
