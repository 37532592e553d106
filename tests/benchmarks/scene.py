"""What is read and written, by everybody alike."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scene:
    """Some of the rows there are (`rows.py`).

    Attributes:
        all_rows: primary keys of all conversations.
        hot_rows: of the hundred that are read over and over.
        saved_rows: of the hundred that are saved, others than those.
        instance: the one whose latest fifty are listed, none of the above being among them.
        value: a conversation as plain data, for caches that know no models.
    """

    all_rows: list[int]
    hot_rows: list[int]
    saved_rows: list[int]
    instance: int
    value: dict[str, Any]

    @property
    def value_keys(self) -> list[str]:
        """The keys under which the value is put where keys are anything."""
        return [f"conversations:value:{pk}" for pk in self.hot_rows]
