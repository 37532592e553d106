"""Which rows a staff user may see and change in the admin: those of the user's instances; superusers see all.

Which models a user may see at all is decided by Django's permissions, also where a page shows rows of another model.
"""

from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpRequest

from conversations.access.policy import Access
from conversations.access.reading import access_of_user
from conversations.models import Scope

NOTHING = Access(user_id=0)
_ATTRIBUTE = "_admin_access"  # where a request keeps the access of its user, which is read once a request


def access_of(request: HttpRequest) -> Access:
    """Return what the user of an admin request may see and change."""
    access = getattr(request, _ATTRIBUTE, None)
    if access is None:
        access = access_of_user(request.user) or NOTHING
        setattr(request, _ATTRIBUTE, access)
    return cast("Access", access)


def may_view(request: HttpRequest, model: str) -> bool:
    """Return whether the user has Django's permission to see rows of a model of conversations, such as "contact"."""
    return any(request.user.has_perm(f"conversations.{verb}_{model}") for verb in ("view", "change"))


def permitted(
    request: HttpRequest, rows: QuerySet[Any], scope: Scope = Scope.READ, field: str = "instance"
) -> QuerySet[Any]:
    """Return those rows that belong to an instance in which the user may do this.

    Args:
        request: a request of a staff user.
        rows: rows of a model in which each row belongs to one instance.
        scope: the kind of operation on the rows, such as reading.
        field: the path to the instance.
    """
    instances = access_of(request).instances(scope)
    return rows if instances is None else rows.filter(**{f"{field}__any_of": instances})
