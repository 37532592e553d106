"""What the lists of the admin have in common: the heading names the rows, and an empty list says what fills it."""

from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.text import capfirst


class ReadableList:
    """A mixin of model admins.

    Attributes:
        empty_text: what a list without rows says: why it has none, and what to do.
    """

    empty_text: ClassVar[Any] = ""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, headed by the name of its rows instead of Django's "Select … to change"."""
        found: Any = super().get_changelist_instance(request)  # type: ignore[misc]  # a method of ModelAdmin
        if not found.is_popup:
            found.title = capfirst(found.opts.verbose_name_plural)
        return found
