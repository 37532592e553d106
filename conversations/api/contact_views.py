"""The endpoints of contacts."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.list_params import ContactParameters
from conversations.api.preconditions import IF_MATCH
from conversations.api.row_bodies import ContactBody
from conversations.api.row_views import RowViewSet
from conversations.api.serializers.contact import ContactSerializer
from conversations.models import Contact


class ContactViewSet(RowViewSet):
    """The contacts of the instances that the request may read, ordered by name."""

    fetch_row = Contact.objects.fetch
    fetch_page = Contact.objects.for_instance
    query_params = ContactParameters
    serializer_class = detail_serializer_class = ContactSerializer

    @extend_schema(request=ContactBody, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Give the contact a name here, which is shown instead of those in WhatsApp, or take it back.

        Events never change this name.
        """
        body = ContactBody.parse(request.data)

        def change(key: int) -> Contact:
            return Contact.objects.rename(key, **body) if body else Contact.objects.get(pk=key)

        return self.change_row(pk, change, locks_instance=True)
