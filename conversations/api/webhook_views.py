"""Views of outgoing webhooks, for administrators: where changes are sent, how far receivers are, and the attempts."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api import webhook_serializers as serializers
from conversations.api.access_views import AccessViewSet, Conflict
from conversations.api.cache_views import IsAdministrator
from conversations.api.idempotency import idempotent
from conversations.api.pagination import CursorLinksPagination
from conversations.api.permissions import access_of
from conversations.api.preconditions import IF_MATCH, if_unchanged, shown
from conversations.api.query_params import PageParameters
from conversations.api.schema import ID_PARAMETER
from conversations.changes.cursor import UnknownCursor
from conversations.changes.feed import NOW, check_cursor
from conversations.db.keyset import InvalidCursor, keyset_page
from conversations.models import DeliveryAttempt, WebhookSubscription
from conversations.models.webhook_subscription import TooManySubscriptions, new_secret
from conversations.webhooks_out.selection import present_cursor


class WebhookViewSet(AccessViewSet):
    """The outgoing webhooks, latest first. Each posts the changes of rows to its URL, in order and at least once.

    A delivery has the content of an answer of `changes/`, and is signed as Standard Webhooks defines it. `docs/api.md`
    has a complete receiver.
    """

    permission_classes = (IsAdministrator,)
    serializer_class = serializers.WebhookSerializer

    def rows(self) -> QuerySet[WebhookSubscription]:
        """Return all webhooks."""
        return WebhookSubscription.objects.all()

    @extend_schema(request=serializers.NewWebhookBody, responses={201: serializers.NewWebhookSerializer, 409: None})
    @idempotent(shows_secret=True)
    def create(self, request: Request) -> Response:
        """Make a webhook. It sends what the request's user may read. The answer shows the secret, once."""
        body = serializers.NewWebhookBody.parse(request.data)
        row = WebhookSubscription(user=User.objects.get(pk=access_of(request).user_id), **body)
        row.cursor = present_cursor(row)
        try:
            with transaction.atomic():
                WebhookSubscription.objects.check_number()
                row.save(force_insert=True)
        except TooManySubscriptions as error:
            raise Conflict(str(error)) from None
        return Response(serializers.NewWebhookSerializer(row).data, status.HTTP_201_CREATED)

    @extend_schema(parameters=[ID_PARAMETER])
    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - DRF passes a request
        """Show a webhook, and how far its receiver is."""
        row = self._row(pk)
        return shown(row, self._show(row))

    @extend_schema(
        parameters=[ID_PARAMETER, IF_MATCH], request=serializers.WebhookBody, responses=serializers.WebhookSerializer
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a webhook. Turned on, it goes on from where its receiver is. Turned off, it raises no alarm."""
        self._row(pk)
        body, rows = serializers.WebhookBody.parse(request.data), self.rows().filter(pk=pk)
        with transaction.atomic(), if_unchanged(request, rows, self._show):
            row = self._locked(pk)
            for name, value in body.items():
                setattr(row, name, value)
            if body.get("is_active"):
                row.turn_on()
            elif "is_active" in body:
                row.off_reason = ""  # somebody wants it off, so the alarm about it ends
            row.save(update_fields=[*body, *row.STATE, "updated_at"])
        return shown(row, self._show(row))

    @extend_schema(parameters=[ID_PARAMETER, IF_MATCH])
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a webhook and its attempts."""
        row = self._row(pk)
        with if_unchanged(request, self.rows().filter(pk=row.pk), self._show):
            row.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(parameters=[ID_PARAMETER], request=None, responses={202: serializers.WebhookSerializer})
    @action(detail=True, methods=["post"], url_path="test")
    def send_test(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - DRF passes a request
        """Send a delivery of the type `test` within some seconds, also while the webhook waits. See its attempts."""
        with transaction.atomic():
            row = self._locked(pk)
            if not row.is_active:
                raise Conflict(_("The webhook is off."))
            row.test_requested = True
            row.save(update_fields=["test_requested", "updated_at"])
        return Response(self._show(row), status.HTTP_202_ACCEPTED)

    @extend_schema(
        parameters=[ID_PARAMETER], request=serializers.ReplayBody, responses={200: serializers.WebhookSerializer}
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Deliver again from a cursor on, as far back as the log of changes goes. `now` skips what is due."""
        after = serializers.ReplayBody.parse(request.data)["after"]
        with transaction.atomic():
            row = self._locked(pk)
            if after == NOW:
                after = present_cursor(row)
            try:
                check_cursor(after)
            except UnknownCursor:
                raise ValidationError({"after": [_("This is not a cursor of this database.")]}) from None
            row.replay(after)
        return Response(self._show(row))

    @extend_schema(parameters=[ID_PARAMETER], request=None, responses={200: serializers.NewWebhookSerializer})
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - DRF passes a request
        """Replace the secret by a random one. The answer shows it, once."""
        with transaction.atomic():
            row = self._locked(pk)
            row.secret = new_secret()
            row.save(update_fields=["secret", "updated_at"])
        return Response(serializers.NewWebhookSerializer(row).data, headers={"Cache-Control": "no-store"})

    @extend_schema(parameters=[ID_PARAMETER, PageParameters], responses=serializers.AttemptSerializer(many=True))
    @action(detail=True, serializer_class=serializers.AttemptSerializer)
    def attempts(self, request: Request, pk: str) -> Response:
        """The last attempts to deliver, latest first."""
        row, params = self._row(pk), PageParameters.parse(request.query_params)
        try:
            page = keyset_page(DeliveryAttempt.objects.filter(subscription=row), ("-id",), **params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        return CursorLinksPagination().build_response(
            request, page, serializers.AttemptSerializer(page.rows, many=True).data
        )

    def _show(self, row: WebhookSubscription) -> Any:
        return serializers.WebhookSerializer(row).data

    def _row(self, pk: str) -> WebhookSubscription:
        row = self.rows().filter(pk=pk).first()
        if row is None:
            raise NotFound
        return row

    def _locked(self, pk: str) -> WebhookSubscription:
        """Return a row, locked until the transaction ends, so that a delivery that ends now changes the new state."""
        row = self.rows().select_for_update(no_key=True).filter(pk=pk).first()
        if row is None:
            raise NotFound
        return row
