"""The class `Page`: one page of a list of rows, which is cached as one entry."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """The rows of one page, and the cursors of the next and the previous page ("" if there is no such page)."""

    rows: list[Row]
    next_cursor: str = ""
    previous_cursor: str = ""
