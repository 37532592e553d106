"""The endpoints of instances."""

from conversations.api.query_params import PageParameters
from conversations.api.row_views import RowViewSet
from conversations.api.serializers.instance import InstanceDetailSerializer, InstanceSerializer
from conversations.models import Instance


class InstanceViewSet(RowViewSet):
    """The instances (WhatsApp numbers) that the request may read, ordered by name."""

    fetch_row = Instance.objects.fetch
    fetch_page = Instance.objects.page
    query_params = PageParameters
    serializer_class = InstanceSerializer
    detail_serializer_class = InstanceDetailSerializer
