"""Filters of the admin lists. Reading the choices of a filter does not query the filtered table."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.admin.access import access_of
from conversations.admin.choice_filter import ChoiceFilter
from conversations.admin.numbers import MAX_NUMBERS, number_of, readable_numbers
from conversations.evolution import events
from conversations.models import Instance, Message
from conversations.models.conversation_filters import IS_UNREAD
from conversations.models.message_filters import has_status

INSTANCE = "instance"  # the query parameter
MAX_USERS = 1000  # that a filter offers
MAX_DIGITS = 9  # of the id of a user


def selected_instance(query: Mapping[str, Any]) -> int | None:
    """Return the primary key of the instance that the query parameters select; None if they select none."""
    value = query.get(INSTANCE) or ""
    return int(value) if value.isdecimal() and len(value) < len(str(2**63)) else None


class InstanceFilter(ChoiceFilter):
    """Selects the rows of one instance. The filter offers the first `max_choices` instances by name.

    The admin page of each instance links to the lists of that instance's rows.
    """

    title = _("instance")
    parameter_name = INSTANCE
    max_choices = MAX_NUMBERS

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the instances that users can choose, always including the selected instance."""
        access, selected = access_of(request), self._selected_id()
        choices = readable_numbers(access)[: self.max_choices]
        if selected is not None and access.allows(selected) and selected not in {number.pk for number in choices}:
            choices += map(number_of, Instance.objects.fetch_many([selected]).values())
        return [(str(number.pk), number.title) for number in choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the rows of the selected instance; return no rows if the query parameter is not an id."""
        if not self.value():
            return queryset
        selected = self._selected_id()
        return queryset.none() if selected is None else queryset.filter(instance_id=selected)

    def _selected_id(self) -> int | None:
        return selected_instance({INSTANCE: self.value()})


class UnreadFilter(admin.SimpleListFilter):
    """Selects conversations with or without unread messages."""

    title = _("unread")
    parameter_name = "unread"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the two choices of the filter: unread messages or none."""
        return [("1", str(_("Yes"))), ("0", str(_("No")))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the selected conversations; an unknown value of the query parameter selects all conversations."""
        match self.value():
            case "1":
                return queryset.filter(IS_UNREAD)
            case "0":
                return queryset.filter(~IS_UNREAD)
        return queryset


class MessageStatusFilter(admin.SimpleListFilter):
    """Selects messages by delivery status, with an index for the failed ones."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the delivery statuses."""
        return [(str(status.value), str(_(status.label))) for status in Message.Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the messages with the selected status.

        Raises:
            DisallowedModelAdminLookup: the value of the query parameter is no status.
        """
        if not self.value():
            return queryset
        chosen = [status for status in Message.Status if str(status.value) == self.value()]
        if not chosen:
            raise DisallowedModelAdminLookup("not a delivery status")
        return queryset.filter(has_status(chosen[0]))


class EventNameFilter(ChoiceFilter):
    """Selects webhook events by event name."""

    title = _("event")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the known event names."""
        return [(name, name) for name in events.NAMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the webhook events with the selected name."""
        return queryset.filter(name=self.value()) if self.value() else queryset


class ActorFilter(ChoiceFilter):
    """Selects what one user of the admin has done or read; both tables have an index for it."""

    title = _("user")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the users of the admin."""
        rows = User.objects.filter(is_staff=True).order_by("username").values_list("pk", "username")[:MAX_USERS]
        return [(str(pk), name) for pk, name in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return what the chosen user has done; nothing if the parameter is no id."""
        value = self.value()
        if not value:
            return queryset
        is_id = value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS
        return queryset.filter(user_id=int(value)) if is_id else queryset.none()
