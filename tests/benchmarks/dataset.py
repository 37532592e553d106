"""The rows that every peer reads and writes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """Keys of the rows that `rows.py` creates.

    Attributes:
        all_rows: primary keys of all conversations.
        hot_rows: primary keys of a hundred conversations that are read repeatedly.
        saved_rows: primary keys of a hundred other conversations, which are saved.
        instance: primary key of the instance whose latest fifty conversations are listed; none of them is above.
        value: a conversation as plain data, for caches that do not support models.
    """

    all_rows: list[int]
    hot_rows: list[int]
    saved_rows: list[int]
    instance: int
    value: dict[str, Any]

    @property
    def value_keys(self) -> list[str]:
        """The cache keys that store `value`."""
        return [f"conversations:value:{pk}" for pk in self.hot_rows]
