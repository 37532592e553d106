"""Views of who may do what: the request's own rights, its user's tokens, and the memberships of managed instances.

Tokens are managed with the scope `manage`, and permit no more than the request that makes them (`access.grants`).
Memberships are managed by managers of the instance and by superusers.
"""

import datetime as dt
from abc import abstractmethod
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from conversations.access.grants import NotGranted, UnknownInstance, token_terms
from conversations.api import access_serializers as serializers
from conversations.api.idempotency import idempotent
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.pagination import CursorLinksPagination
from conversations.api.permissions import access_of, check_instance
from conversations.api.preconditions import IF_MATCH, if_unchanged, shown
from conversations.api.query_params import PageParameters
from conversations.api.schema import ID_PARAMETER
from conversations.db.keyset import InvalidCursor, keyset_page
from conversations.models import ApiToken, Instance, Membership, Scope
from conversations.models.access import MembershipExists, TokenNotIssued

NO_INSTANCE = _("There is no such instance.")


class Conflict(APIException):
    """The change contradicts what exists already."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class MeView(APIView):
    """The request's user and token."""

    content_negotiation_class = JSONOnlyNegotiation

    @extend_schema(responses=serializers.MeSerializer)
    def get(self, request: Request) -> Response:
        """Return the user of the request, the user's roles in the instances that the request may see, and its token."""
        access = access_of(request)
        memberships = [
            {"instance_id": pk, "role": role} for pk, role in sorted(access.roles.items()) if access.is_within_limit(pk)
        ]
        me = {
            "user_id": access.user_id,
            "username": request.user.get_username(),
            "is_administrator": access.is_administrator,
            "memberships": memberships,
            "token": ApiToken.objects.get(pk=access.token_id) if access.token_id else None,
        }
        return Response(serializers.MeSerializer(me).data)


class AccessViewSet(GenericViewSet[Any]):
    """Base class of the lists that need the scope `manage`, and are read from the database."""

    read_scope = change_scope = Scope.MANAGE
    lookup_value_regex = "[0-9]{1,19}"
    pagination_class = CursorLinksPagination
    content_negotiation_class = JSONOnlyNegotiation

    @abstractmethod
    def rows(self) -> QuerySet[Any]:
        """Return the rows that the request may see."""

    @extend_schema(parameters=[PageParameters])
    def list(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the viewset's docstring
        params = PageParameters.parse(request.query_params)
        try:
            page = keyset_page(self.rows(), ("-id",), **params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        return CursorLinksPagination().build_response(request, page, self.get_serializer(page.rows, many=True).data)


class TokenViewSet(AccessViewSet):
    """The API tokens of the request's user, latest first. A token that is limited to instances sees those it made."""

    serializer_class = serializers.TokenSerializer

    def rows(self) -> QuerySet[ApiToken]:
        """Return the tokens of the user; for a limited token only itself, and those that it has made."""
        access = access_of(self.request)
        rows = ApiToken.objects.filter(user=access.user_id)
        is_limited = access.limited_to is not None
        return rows.filter(Q(pk=access.token_id) | Q(made_by=access.token_id)) if is_limited else rows

    @extend_schema(request=serializers.TokenBody, responses={201: serializers.NewTokenSerializer, 409: None})
    @idempotent(shows_secret=True)
    def create(self, request: Request) -> Response:
        """Make a token for the request's user. The answer shows the secret, which cannot be shown again.

        The new token never permits more than this request, and ends with the token of this request.
        """
        body, access = serializers.TokenBody.parse(request.data), access_of(request)
        ids = None if body["instance_ids"] is None else frozenset(body["instance_ids"])
        if ids is not None and Instance.objects.filter(pk__in=ids).count() < len(ids):
            raise NotFound(NO_INSTANCE)
        expires_at = None if body["days"] is None else timezone.now() + dt.timedelta(days=body["days"])
        try:
            terms = token_terms(access, body["scopes"], ids, expires_at)
            row, token = ApiToken.objects.issue_by_api(
                User.objects.get(pk=access.user_id), made_by=access.token_id, name=body["name"], **terms._asdict()
            )
        except UnknownInstance:
            raise NotFound(NO_INSTANCE) from None
        except NotGranted as error:
            raise PermissionDenied(str(error)) from None
        except TokenNotIssued as error:
            raise Conflict(str(error)) from None
        return Response({**self.get_serializer(row).data, "token": token}, status.HTTP_201_CREATED)

    @extend_schema(parameters=[ID_PARAMETER])
    def destroy(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - DRF passes a request
        """Revoke a token, and with it the tokens that it has made. Requests with them are refused from now on."""
        row = self.rows().filter(pk=pk).first()
        if row is None:
            raise NotFound
        row.revoke()
        return Response(status=status.HTTP_204_NO_CONTENT)


class MembershipViewSet(AccessViewSet):
    """The memberships of the instances that the request may manage, latest first."""

    serializer_class = serializers.MembershipSerializer

    def rows(self) -> QuerySet[Membership]:
        """Return the memberships of the instances that the request may manage."""
        rows, instances = Membership.objects.prefetch_related("user"), access_of(self.request).instances(Scope.MANAGE)
        return rows if instances is None else rows.filter(instance__in=instances)

    @extend_schema(request=serializers.MembershipBody, responses={201: serializers.MembershipSerializer, 409: None})
    @idempotent()
    def create(self, request: Request) -> Response:
        """Give an existing user a role in an instance."""
        body = serializers.MembershipBody.parse(request.data)
        check_instance(request, self, body["instance_id"])
        try:
            row = Membership.objects.add(**body)
        except Instance.DoesNotExist:
            raise NotFound(NO_INSTANCE) from None
        except User.DoesNotExist:
            raise NotFound(_("There is no such user.")) from None
        except MembershipExists as error:
            raise Conflict(str(error)) from None
        return Response(self._show(row), status.HTTP_201_CREATED)

    @extend_schema(parameters=[ID_PARAMETER])
    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - DRF passes a request
        """Show a membership."""
        row = self._permitted_row(pk)
        return shown(row, self._show(row))

    @extend_schema(
        parameters=[ID_PARAMETER, IF_MATCH], request=serializers.RoleBody, responses=serializers.MembershipSerializer
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the role of a membership. The change holds from the next request on."""
        found, body = self._permitted_row(pk), serializers.RoleBody.parse(request.data)
        rows = self.rows().filter(pk=found.pk)
        with transaction.atomic(), if_unchanged(request, rows, self._show):
            row = rows.select_for_update(of=["self"]).first()
            if row is None:
                raise NotFound
            row.role = body["role"]
            row.save(update_fields=["role"])
        return shown(row, self._show(row))

    @extend_schema(parameters=[ID_PARAMETER, IF_MATCH])
    def destroy(self, request: Request, pk: str) -> Response:
        """End a membership. The end holds from the next request on."""
        row = self._permitted_row(pk)
        with if_unchanged(request, self.rows().filter(pk=row.pk), self._show):
            row.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _show(self, row: Membership) -> Any:
        return self.get_serializer(row).data

    def _permitted_row(self, pk: str) -> Membership:
        row = Membership.objects.select_related("user").filter(pk=pk).first()
        if row is None:
            raise NotFound
        check_instance(self.request, self, row.instance_id)
        return row
