"""Primary keys of the rows that every benchmarked library reads and writes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dataset:
    """Primary keys of the benchmark's rows, which `rows.py` creates.

    Attributes:
        all_rows: primary keys of all conversations.
        hot_rows: primary keys of a hundred conversations of another instance, which the benchmark reads repeatedly.
        saved_rows: primary keys of a hundred conversations of a third instance, which the benchmark saves.
        instance: primary key of the instance whose list of latest conversations the benchmark reads.
        value: a conversation as JSON data, for libraries that cannot cache model instances.
    """

    all_rows: list[int]
    hot_rows: list[int]
    saved_rows: list[int]
    instance: int
    value: dict[str, Any]

    @property
    def value_keys(self) -> list[str]:
        """Return the cache keys under which each library stores `value`."""
        return [f"conversations:value:{pk}" for pk in self.hot_rows]
