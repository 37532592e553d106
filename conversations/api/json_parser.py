"""Parses the JSON that clients send; JSON that is nested too deeply is malformed, and no fault of the server."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as StandardParser


class JSONParser(StandardParser):
    """The parser of Django REST framework, which lets Python's error for too many levels pass."""

    def parse(self, *args: Any, **options: Any) -> Any:
        """Return the decoded content.

        Raises:
            ParseError: the content is not JSON, or has too many levels.
        """
        try:
            return super().parse(*args, **options)
        except RecursionError:
            raise ParseError(_("JSON parse error - too many levels")) from None
