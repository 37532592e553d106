"""A filter of an admin list that is a drop-down, because hundreds of links would be too many to find one."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.admin.markup import select_options


class ChoiceFilter(admin.SimpleListFilter):
    """Base class of filters with many choices. Its form keeps the other parameters of the list."""

    template = "admin/conversations/choice_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], *args: Any) -> None:
        super().__init__(request, params, *args)
        left_out = {self.parameter_name, PAGE_VAR, ERROR_FLAG}
        self.other_parameters = [(name, value) for name, value in request.GET.items() if name not in left_out]

    @property
    def options(self) -> SafeString:
        """The HTML of the choices, of which the first one stands for all rows."""
        return select_options([("", _("All")), *self.lookup_choices], [self.value() or ""])

    def choices(self, changelist: Any) -> Iterator[Any]:  # noqa: ARG002 - Django's hook
        """Yield the same choices as dictionaries, as Django's own filters do."""
        yield {"value": "", "display": _("All"), "selected": not self.value()}
        for value, title in self.lookup_choices:
            yield {"value": value, "display": title, "selected": str(value) == self.value()}
