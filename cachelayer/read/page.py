"""One page of a list: what a list entry holds."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in order, and the cursors of the pages around them ("" where there is none)."""

    rows: list[Row]
    next_cursor: str = ""
    previous_cursor: str = ""
