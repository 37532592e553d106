"""Checks that a request's token or user may do what the request asks for.

A row of an instance that the request may not read does not exist for it: the answer is 404. A row that it may read but
not change is answered 403.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from conversations.access.policy import Access
from conversations.models import Scope


class HasScope(BasePermission):
    """Admits authenticated requests whose token has the scope that the view needs (`required_scope`)."""

    message = _("The token does not have the scope that this request needs.")

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request is authenticated and has the scope."""
        return isinstance(request.auth, Access) and request.auth.has_scope(required_scope(request, view))


def required_scope(request: Request, view: Any) -> Scope:
    """Return the scope that a request needs, from the view's `read_scope` or `change_scope` (read or write)."""
    if request.method in SAFE_METHODS:
        return cast("Scope", getattr(view, "read_scope", Scope.READ))
    return cast("Scope", getattr(view, "change_scope", Scope.WRITE))


@dataclass
class AccessUse:
    """How the answer to a request depends on what the request may see (see `conversations.api.answers`).

    Attributes:
        checked: the instances that `check_instance` has checked.
        is_general: whether the view has asked for more than that with `access_of`.
    """

    checked: set[int] = field(default_factory=set)
    is_general: bool = False


def access_of(request: Request) -> Access:
    """Return what an authenticated request may do."""
    use: AccessUse | None = getattr(request, "access_use", None)
    if use is not None:
        use.is_general = True
    return cast("Access", request.auth)


def may_show_reads(request: Request, status: int) -> bool:
    """Return whether an answer may say in `Cache-Status` how rows were read.

    About a row that a request may not see, it must not: a hit would tell that the row exists.
    """
    access = getattr(request, "auth", None)
    is_without_limits = isinstance(access, Access) and access.readable is None
    return status == HTTPStatus.OK or (status == HTTPStatus.NOT_FOUND and is_without_limits)


def check_instance(request: Request, view: Any, instance_id: int) -> None:
    """Check that a request may do what it asks for with a row of an instance.

    Raises:
        NotFound: the request may not read the instance's rows.
        PermissionDenied: the request may read the instance's rows, but not change them.
    """
    access, use = cast("Access", request.auth), getattr(request, "access_use", None)
    if use is not None:
        use.checked.add(instance_id)
    if not access.allows(instance_id):
        raise NotFound
    if not access.allows(instance_id, required_scope(request, view)):
        raise PermissionDenied(_("The role in this instance does not permit this."))
