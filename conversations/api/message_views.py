"""The endpoints of messages; `media` sends the files that came with them."""

from conversations.api.list_params import MessageParameters
from conversations.api.row_views import RowViewSet
from conversations.api.serializers.message import MessageSerializer
from conversations.models import Message


class MessageViewSet(RowViewSet):
    """The messages of the instances that the request may read, ordered by WhatsApp's timestamp, latest first."""

    fetch_row = Message.objects.fetch
    fetch_page = Message.objects.for_instance
    query_params = MessageParameters
    serializer_class = detail_serializer_class = MessageSerializer
