"""The endpoints of contacts."""

from conversations.api.list_params import ContactParameters
from conversations.api.row_views import RowViewSet
from conversations.api.serializers.contact import ContactSerializer
from conversations.models import Contact


class ContactViewSet(RowViewSet):
    """The contacts of the instances that the request may read, ordered by name."""

    fetch_row = Contact.objects.fetch
    fetch_page = Contact.objects.for_instance
    query_params = ContactParameters
    serializer_class = detail_serializer_class = ContactSerializer
