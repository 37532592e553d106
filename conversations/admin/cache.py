"""The admin pages of the cache, with what only this project knows: plots, the last audit, whose message a row is."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from cachelayer.admin import CacheAdmin
from cachelayer.models import CounterTotal
from cachelayer.ops.inspection import Entry, model_of
from conversations.access.records import Shown, record_reading
from conversations.admin.home.charts import CHARTS, board_context
from conversations.models import CheckResult, Conversation, Message, ReadingRecord
from conversations.monitoring import history, reading
from conversations.monitoring.details import translate_detail
from conversations.monitoring.series import DAY, PERIODS

SHOWN_CHARTS = ("hit-rate", "saved")


class CachePages(CacheAdmin):
    """Serves the admin pages of the cache."""

    page_template = "admin/conversations/cache.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the page, with plots and the result of the last audit."""
        period = PERIODS.get(request.GET.get("period", ""), DAY)
        charts = [chart for chart in CHARTS if chart.name in SHOWN_CHARTS]
        audit = CheckResult.objects.filter(name="audit").first()
        context = {
            **board_context(history.load(period.minutes), history.figures_of(reading.read()), period, charts),
            "period": period,
            "periods": PERIODS.values(),
            "audit": audit,
            "audit_detail": translate_detail(audit.detail) if audit else "",
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def entry_shown(self, request: HttpRequest, key: str, entry: Entry) -> None:
        """Record that the user sees a text that people wrote."""
        model, pk = model_of(key) or (None, "")
        if model in (Conversation, Message) and entry.value is not None:
            value = entry.value
            chat = (value["id"], value["jid"]) if model is Conversation else (value["conversation_id"], "")
            shown = Shown(value["instance_id"], *chat)
            record_reading(request.user, ReadingRecord.Page.CACHE, [shown], int(pk))


admin.site.unregister(CounterTotal)
admin.site.register(CounterTotal, CachePages)
