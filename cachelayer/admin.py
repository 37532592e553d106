"""The admin pages of the cache: counters and the state of the store, one entry, and the question before clearing.

The page takes the place of the change list of the model `CounterTotal`. Users who may view `CounterTotal` see the page;
users who may change `CounterTotal` can clear cache entries. Only superusers can name a key, because the existence and
the age of an entry reveal that a row exists, which other users may have no access to.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cachelayer import cache
from cachelayer.models import CounterTotal
from cachelayer.ops import server, statistics
from cachelayer.ops.inspection import Entry, inspect, key_of
from cachelayer.orm.rules import all_rules
from cachelayer.protocol.entries import LookupStatus
from cachelayer.protocol.tags import Namespace, UnknownNamespace
from cachelayer.runtime.runtime import get_runtime, namespaces
from cachelayer.stores.base import StoreDown
from cachelayer.write import outbox

PAGE = "cachelayer_countertotal_changelist"
CLEAR = "cachelayer_countertotal_clear"
ENTRY = "cachelayer_countertotal_entry"
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

    page_template = "admin/cachelayer/cache.html"

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django prescribes the parameters
        """Return False: users cannot add counters, because only the cache itself adds counters."""
        return False

    def get_urls(self) -> list[Any]:
        """Return the URLs of the cache page and of its forms, without the usual admin pages of a model."""
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=PAGE),
            path("clear/", view(self.clear_view), name=CLEAR),
            path("entry/", view(self.entry_view), name=ENTRY),
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
            "may_name_keys": may_name_keys(request),
            "clear_url": reverse(f"admin:{CLEAR}"),
            "entry_url": reverse(f"admin:{ENTRY}"),
            "models": row_models(),
            "memory": _memory(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.page_template, context)

    def clear_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to clear entries or the counters (GET), or do so and go back to the cache page (POST)."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        if "pattern" in asked and not may_name_keys(request):
            raise PermissionDenied
        # PostgreSQL stores no NUL, so a form with one would be carried out, and then not recorded.
        field = next((field for field in _ACTIONS if asked.get(field) and "\0" not in asked[field]), "")
        if not field:
            messages.error(request, _("Nothing was selected."))
        elif request.method == "POST":
            self._act(request, field, asked[field])
        else:
            return self._confirmation(request, field, asked[field])
        return HttpResponseRedirect(reverse(f"admin:{PAGE}"))

    def _act(self, request: HttpRequest, field: str, value: str) -> None:
        """Clear entries or counters, and record who did so in the log of the admin."""
        try:
            done = _ACTIONS[field].run(value)
        except UnknownNamespace as error:
            messages.error(request, str(error))
            return
        content_type = ContentType.objects.get_for_model(CounterTotal)
        LogEntry.objects.create(
            user=cast("Any", request.user),
            content_type=content_type,
            object_repr=f"{field}: {value}"[:200],
            action_flag=CHANGE,
            change_message=done,
        )
        messages.success(request, done)

    def _confirmation(self, request: HttpRequest, field: str, value: str) -> HttpResponse:
        action = _ACTIONS[field]
        hits, misses = statistics.hits_and_misses(statistics.by_namespace(statistics.totals()).get(value, {}))
        reads = hits + misses if field == "namespace" else 0
        context = {
            **self.admin_site.each_context(request),
            "title": action.question % {"value": value},
            "effect": action.effect % {"value": value},
            "is_clearing": action.is_clearing,
            "reads": reads and number_format(reads, force_grouping=True),
            "hits": number_format(hits, force_grouping=True),
            "field": field,
            "value": value,
            "page_url": reverse(f"admin:{PAGE}"),
        }
        return TemplateResponse(request, "admin/cachelayer/clear.html", context)

    def entry_view(self, request: HttpRequest) -> HttpResponse:
        """Show one entry of the store: of a key, or of a row that a model and a primary key name."""
        if not may_name_keys(request):
            raise PermissionDenied
        key = _key_of(request.GET)
        entry, problem = None, ""
        try:
            entry = inspect(get_runtime(), key, timezone.now()) if key else None
        except StoreDown:
            problem = _("The store does not answer.")
        if entry:
            self.entry_shown(request, key, entry)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Cache entry"),
            "key": key,
            "entry": entry,
            "status": entry and STATUSES[entry.status],
            "value": shown_value(entry.value) if entry else "",
            "problem": problem,
            "models": row_models(),
            "page_url": reverse(f"admin:{PAGE}"),
        }
        return TemplateResponse(request, "admin/cachelayer/entry.html", context)

    def entry_shown(self, request: HttpRequest, key: str, entry: Entry) -> None:
        """Handle that the user sees the value of an entry."""


def may_name_keys(request: HttpRequest) -> bool:
    """Return whether the user may ask about keys, which may be of any row."""
    return bool(request.user.is_active and request.user.is_superuser)


# --- the actions ------------------------------------------------------------------------------------------------------
class Action(NamedTuple):
    """Something that clears entries or counters; the methods get the value of the form field.

    Attributes:
        run: clears the entries or counters, and returns a sentence with their number.
        question: the question that the user confirms.
        effect: the consequences of the action, in a sentence.
        is_clearing: whether it clears entries, and not counters.
    """

    run: Callable[[str], str]
    question: Any
    effect: Any
    is_clearing: bool = True


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


# The name of a form field selects an action.
_ACTIONS = {
    "pattern": Action(
        _clear_pattern,
        gettext_lazy("Clear the entries that match %(value)s?"),
        gettext_lazy(
            "All entries whose key matches %(value)s are removed, in all processes. The store looks at all its keys."
        ),
    ),
    "namespace": Action(
        _clear_namespace,
        gettext_lazy("Clear the namespace %(value)s?"),
        gettext_lazy("All entries of the namespace %(value)s become invalid in one step, in all processes."),
    ),
    "all": Action(
        _clear_all,
        gettext_lazy("Clear all entries?"),
        gettext_lazy("All entries of all namespaces become invalid in one step, in all processes."),
    ),
    "reset": Action(
        _reset,
        gettext_lazy("Reset the counters?"),
        gettext_lazy("All counters begin again at 0: on this page, in cache_stats, in the API and in the metrics."),
        is_clearing=False,
    ),
}  # fmt: skip


# --- the contents of the pages ----------------------------------------------------------------------------------------
STATUSES = {
    LookupStatus.HIT: gettext_lazy("Readers use it."),
    LookupStatus.MISS: gettext_lazy("Readers do not use it: what it depends on has changed since it was stored."),
    LookupStatus.BYPASS: gettext_lazy("Readers do not use it now: a write to it has not ended."),
}
MAX_VALUE_CHARS = 20_000
HIDDEN = "***"
_SECRETS = re.compile(r"hash|digest|secret|password|token|qr_code|pairing")
_LONG_HEX = re.compile(r"[0-9a-f]{32,}")


def row_models() -> dict[str, Any]:
    """Return the names of the models whose rows are cached, by their labels."""
    return {meta.label_lower: meta.verbose_name for meta in (rule.model._meta for rule in all_rules() if rule.has_rows)}  # noqa: SLF001 - Django documents _meta


def _key_of(asked: Mapping[str, str]) -> str:
    """Return the cache key of the entry that a form names; "" if the form is empty."""
    pk, label = asked.get("pk", "").strip(), asked.get("model", "")
    if pk and label in row_models():
        return key_of(apps.get_model(label), pk)
    return asked.get("key", "").strip()


def shown_value(value: Any) -> str:
    """Return a value as indented JSON, without secrets and their hashes, and not too long."""
    text = json.dumps(_without_secrets(value), indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}…"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            str(name): HIDDEN if item and _SECRETS.search(str(name)) else _without_secrets(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(item) for item in value]
    if isinstance(value, bytes) or (isinstance(value, str) and _LONG_HEX.fullmatch(value)):
        return HIDDEN
    return value


def _memory() -> str:
    """Return a sentence about the memory of the store."""
    try:
        found = server.read()
    except StoreDown:
        return _("The store does not answer.")
    if found is None:
        return _("The cache is in the memory of one process.")
    used, limit = filesizeformat(found.used_bytes), filesizeformat(found.max_bytes)
    if found.max_bytes:
        return _("%(name)s uses %(used)s of %(limit)s.") % {"name": found.name, "used": used, "limit": limit}
    return _("%(name)s uses %(used)s, and has no limit.") % {"name": found.name, "used": used}


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
