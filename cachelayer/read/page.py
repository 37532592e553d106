"""One page of a list, the value of a list entry."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in order, and the cursors of the next and the previous page ("" at the end of the list)."""

    rows: list[Row]
    next_cursor: str = ""
    previous_cursor: str = ""
