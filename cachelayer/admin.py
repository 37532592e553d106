"""The admin's page of the cache: what it has done, namespace by namespace, whether it is believed, and how to clear it.

It is the page of the model `Statistic`: who may view that sees it, who may change it clears.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from cachelayer import cache
from cachelayer.models import CounterTotal
from cachelayer.ops import statistics
from cachelayer.protocol.tags import Namespace, UnknownNamespace
from cachelayer.runtime.runtime import get_runtime, namespaces
from cachelayer.write import outbox

PAGE = "cachelayer_countertotal_changelist"
CLEAR = "cachelayer_countertotal_clear"


@admin.register(CounterTotal)
class CacheAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """One page, and one form on it."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Counts are counted."""
        return False

    def get_urls(self) -> list[Any]:
        """Serve the page and its form, and none of a model's other pages."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=PAGE),
            path("clear/", view(require_POST(self.clear_view)), name=CLEAR),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show everything."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = statistics.totals()
        context = {
            **self.admin_site.each_context(request),
            "title": "Cache",
            "state": _state(),
            "columns": statistics.COLUMNS,
            "namespaces": list(_namespaces(statistics.by_namespace(found))),
            "events": statistics.events(found),
            "waiting": outbox.pending_count(),
            "may_clear": self.has_change_permission(request),
            "clear_url": reverse(f"admin:{CLEAR}"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/cachelayer/cache.html", context)

    def clear_view(self, request: HttpRequest) -> HttpResponse:
        """Do what was asked for, say so, and show the page again."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        what = next((what for what in _CLEARS if request.POST.get(what)), "")
        try:
            done = _CLEARS[what](request.POST[what]) if what else "Nothing was asked for."
        except UnknownNamespace as error:
            messages.error(request, str(error))
        else:
            messages.success(request, done)
        return HttpResponseRedirect(reverse(f"admin:{PAGE}"))


# --- what the form can do ---------------------------------------------------------------------------------------------
def _clear_pattern(pattern: str) -> str:
    return f"{cache.clear(pattern)} entries that match {pattern} were removed."


def _clear_namespace(name: str) -> str:
    cache.clear_namespace(name)
    return f"Everything in {name} is invalid."


def _clear_all(_value: str) -> str:
    cache.clear_all()
    return "Everything is invalid."


def _reset(_value: str) -> str:
    statistics.reset()
    return "The sums start from nothing."


_CLEARS: dict[str, Callable[[str], str]] = {
    "pattern": _clear_pattern, "namespace": _clear_namespace, "all": _clear_all, "reset": _reset,
}  # fmt: skip


# --- what the page shows ----------------------------------------------------------------------------------------------
def _state() -> str:
    """Say what this process thinks of its cache."""
    runtime = get_runtime()
    if runtime.bypasses_cache:
        return "This process reads past the cache, which another one has."
    if runtime.breaker.is_closed:
        return "In use."
    return "The store is away: reads go to the database until it is back."


def _namespaces(counted: dict[str, dict[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield each namespace's policy and counts."""
    for namespace in namespaces:
        counts = counted.get(namespace.name, {})
        yield {
            "name": namespace.name,
            "policy": _policy(namespace),
            "hit_rate": "" if (rate := statistics.hit_rate(counts)) is None else f"{rate:.2%}",
            "tiers": [
                (tier, [of_tier.get(column, "") for column in statistics.COLUMNS])
                for tier, of_tier in statistics.by_tier(counts).items()
            ],
        }


def _policy(namespace: Namespace) -> str:
    return f"{namespace.ttl / 60:g} min, {namespace.max_items} items"
