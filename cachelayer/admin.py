"""The admin page of the cache: counters of each namespace, the state of the store, and buttons that clear entries.

The page takes the place of the change list of the model `CounterTotal`. Users who may view `CounterTotal` see the page;
users who may change `CounterTotal` can clear cache entries.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from cachelayer import cache
from cachelayer.models import CounterTotal
from cachelayer.ops import statistics
from cachelayer.protocol.tags import Namespace, UnknownNamespace
from cachelayer.runtime.runtime import get_runtime, namespaces
from cachelayer.write import outbox

PAGE = "cachelayer_countertotal_changelist"
CLEAR = "cachelayer_countertotal_clear"
# The names of tiers and counters, as the page shows them.
TITLES = {
    "local": gettext_lazy("local"),
    "shared": gettext_lazy("shared"),
    "hits": gettext_lazy("hits"),
    "misses": gettext_lazy("misses"),
    "bypasses": gettext_lazy("bypasses"),
    "negatives": gettext_lazy("negatives"),
    "fills": gettext_lazy("fills"),
    "evictions": gettext_lazy("evictions"),
    "invalidations": gettext_lazy("invalidations"),
    "errors": gettext_lazy("errors"),
}


@admin.register(CounterTotal)
class CacheAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's ModelAdmin takes no type argument
    """Serves the admin page of the cache, and handles the forms of that page."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django prescribes the parameters
        """Return False: users cannot add counters, because only the cache itself adds counters."""
        return False

    def get_urls(self) -> list[Any]:
        """Return the URLs of the cache page and of its forms, without the usual admin pages of a model."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=PAGE),
            path("clear/", view(require_POST(self.clear_view)), name=CLEAR),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the admin page of the cache."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        totals = statistics.totals()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Cache"),
            "state": _store_state(),
            "columns": [TITLES[column] for column in statistics.COLUMNS],
            "namespaces": list(_namespace_rows(statistics.by_namespace(totals))),
            "events": statistics.events(totals),
            "pending": outbox.pending_count(),
            "may_clear": self.has_change_permission(request),
            "clear_url": reverse(f"admin:{CLEAR}"),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/cachelayer/cache.html", context)

    def clear_view(self, request: HttpRequest) -> HttpResponse:
        """Clear cache entries or reset the counters, then redirect to the cache page, which shows the result."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        field = next((field for field in _ACTIONS if request.POST.get(field)), "")
        try:
            message = _ACTIONS[field](request.POST[field]) if field else _("Nothing was selected.")
        except UnknownNamespace as error:
            messages.error(request, str(error))
        else:
            messages.success(request, message)
        return HttpResponseRedirect(reverse(f"admin:{PAGE}"))


# --- the actions of the forms -----------------------------------------------------------------------------------------
def _clear_pattern(pattern: str) -> str:
    count = cache.clear(pattern)
    text = ngettext(
        "Removed %(count)d entry that matches %(pattern)s.", "Removed %(count)d entries that match %(pattern)s.", count
    )
    return text % {"count": count, "pattern": pattern}


def _clear_namespace(name: str) -> str:
    cache.clear_namespace(name)
    return _("Invalidated all entries of the namespace %(name)s.") % {"name": name}


def _clear_all(_value: str) -> str:
    cache.clear_all()
    return _("Invalidated all entries.")


def _reset(_value: str) -> str:
    statistics.reset()
    return _("Set all counters to 0.")


# The name of a form field selects one of these functions, which gets the value of the field.
_ACTIONS: dict[str, Callable[[str], str]] = {
    "pattern": _clear_pattern, "namespace": _clear_namespace, "all": _clear_all, "reset": _reset,
}  # fmt: skip


# --- the contents of the page -----------------------------------------------------------------------------------------
def _store_state() -> str:
    """Return a sentence that tells whether this process uses the cache."""
    runtime = get_runtime()
    if runtime.bypasses_cache:
        return _("This process bypasses the cache and reads from the database, because another process owns the cache.")
    if runtime.breaker.is_closed:
        return _("The cache is in use.")
    return _("The store does not answer. Reads use the database until it is back.")


def _namespace_rows(counts_by_namespace: dict[str, dict[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield the limits and counters of each namespace, as a dict for the template of the cache page."""
    for namespace in namespaces:
        counts = counts_by_namespace.get(namespace.name, {})
        rate = statistics.hit_rate(counts)
        yield {
            "name": namespace.name,
            "limits": _limits(namespace),
            "hit_rate": "" if rate is None else f"{number_format(100 * rate, 2)}%",
            "tiers": [
                (TITLES[tier], [tier_counts.get(column, "") for column in statistics.COLUMNS])
                for tier, tier_counts in statistics.by_tier(counts).items()
            ],
        }


def _limits(namespace: Namespace) -> str:
    return _("%(minutes)g min, %(count)d items") % {"minutes": namespace.ttl / 60, "count": namespace.max_items}
