"""The filters of the list of contacts, and the database condition for each of them."""

from dataclasses import dataclass

from django.db.models import Q


@dataclass(frozen=True, kw_only=True)
class ContactFilters:
    """Which contacts a list contains. None stands for no filter.

    Attributes:
        ids: the primary keys of the contacts.
    """

    ids: tuple[int, ...] | None = None

    @property
    def is_small(self) -> bool:
        """Whether the filters select few rows in all instances together."""
        return self.ids is not None

    def condition(self) -> Q:
        """Return the database condition."""
        return Q() if self.ids is None else Q(pk__in=self.ids)
