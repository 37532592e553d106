"""What the lists of the admin have in common: the heading, links to rows, and a sentence in a list without rows."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminDateWidget, AdminSplitDateTime, AdminTimeWidget
from django.db.models import DateTimeField
from django.forms import MultiWidget
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from conversations.admin.row_urls import row_urls

SELECT = "Select this object for an action - {}"  # Django's words, which Django translates


class LabelledDateTime(AdminSplitDateTime):
    """Django's fields for a date and a time, each with a label for screen readers."""

    def __init__(self, attrs: Any = None) -> None:
        widgets = (AdminDateWidget({"aria-label": _("Date")}), AdminTimeWidget({"aria-label": _("Time")}))
        MultiWidget.__init__(self, widgets, attrs)


class LinkedChangeList(ChangeList):
    """A list whose links to rows keep the search and the filters.

    Django reverses the URL of each link, and resolves it again to add the filters.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._query, self.preserved_filters = self.preserved_filters and f"?{self.preserved_filters}", ""

    def url_for_result(self, result: Any) -> str:
        """Return the URL of the page of a row."""
        return self._row_url(result.pk) + self._query

    @cached_property
    def _row_url(self) -> Callable[[int], str]:
        return row_urls(f"admin:{self.opts.app_label}_{self.opts.model_name}_change")


class ReadableList:
    """A mixin of model admins.

    Attributes:
        empty_text: what a list without rows says: why it has none, and what to do.
    """

    empty_text: ClassVar[Any] = ""
    formfield_overrides: ClassVar[Any] = {DateTimeField: {"widget": LabelledDateTime}}

    def action_checkbox(self, obj: Any) -> SafeString:
        """Return the box that selects a row, as Django does, but without its two templates: 20 ms for 50 rows."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            str(obj.pk),
            format_html(gettext(SELECT), str(obj)),
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's hook
        """Return the class of the list."""
        return LinkedChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, headed by the name of its rows instead of Django's "Select … to change"."""
        found: Any = super().get_changelist_instance(request)  # type: ignore[misc]  # a method of ModelAdmin
        if not found.is_popup:
            found.title = capfirst(found.opts.verbose_name_plural)
        return found
