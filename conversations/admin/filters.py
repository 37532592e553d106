"""Filters of the lists, whose choices are known without reading the table that they filter."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from conversations.evolution import events
from conversations.models import Instance


class InstanceFilter(admin.SimpleListFilter):
    """One instance of the first hundred by name; the pages of the others lead to their lists too."""

    title = "instance"
    parameter_name = "instance"
    shown = 100

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the choices, with the chosen one wherever it stands."""
        rows = Instance.objects.only("name", "server_url").order_by("name", "id")
        found = list(rows[: self.shown])
        chosen = self._chosen()
        if chosen is not None and chosen not in [row.pk for row in found]:
            found += rows.filter(pk=chosen)
        return [(str(row.pk), str(row)) for row in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Keep the instance's rows; none for what names no instance."""
        if not self.value():
            return queryset
        chosen = self._chosen()
        return queryset.none() if chosen is None else queryset.filter(instance_id=chosen)

    def _chosen(self) -> int | None:
        value = self.value() or ""
        return int(value) if value.isdecimal() and len(value) < len(str(2**63)) else None


class UnreadFilter(admin.SimpleListFilter):
    """Conversations with something unread, or without."""

    title = "unread"
    parameter_name = "unread"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the choices."""
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Keep the chosen ones."""
        match self.value():
            case "1":
                return queryset.filter(unread_count__gt=0)
            case "0":
                return queryset.filter(unread_count=0)
        return queryset


class EventNameFilter(admin.SimpleListFilter):
    """One kind of event."""

    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the choices."""
        return [(name, name) for name in events.NAMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Keep the chosen ones."""
        return queryset.filter(name=self.value()) if self.value() else queryset
