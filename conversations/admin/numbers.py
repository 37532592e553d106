"""The numbers among which users choose. There may be hundreds, so the cache keeps their titles as one value."""

from hashlib import blake2b
from typing import Any, NamedTuple

from django.db.models import Q

from cachelayer import cache
from conversations.access.policy import Access
from conversations.admin.inbox.rows import instance_name, instance_number
from conversations.models import Instance

MAX_NUMBERS = 1000  # that a page offers
_NAMED_BY = ("pk", "name", "profile_name", "owner_jid", "server_url")


class Number(NamedTuple):
    """An instance: its primary key, its name in WhatsApp, its phone number or "", and its name in Evolution."""

    pk: int
    name: str
    phone: str
    instance: str

    @property
    def title(self) -> str:
        """The name and the phone number; the name in Evolution with its server, if the phone number is unknown."""
        return f"{self.name} · {self.phone}" if self.phone else self.instance


def number_of(row: Any) -> Number:
    """Return the number of an instance, or of a named tuple with the columns `_NAMED_BY` of an instance."""
    in_evolution = " ".join(filter(None, (row.name, row.server_url)))  # as `str` of an instance
    return Number(row.pk, instance_name(row), instance_number(row), in_evolution)


def readable_numbers(access: Access) -> list[Number]:
    """Return the first numbers that may be read, by the name of the instance, from the cache if possible."""
    digest = blake2b(access.readable_key.encode(), digest_size=16).hexdigest()

    def load() -> list[Any]:
        readable = Q() if access.readable is None else Q(pk__any_of=access.readable)
        rows = Instance.objects.primary(Instance.objects.filter(readable)).order_by("name", "id")[:MAX_NUMBERS]
        return [tuple(number_of(row)) for row in rows.values_list(*_NAMED_BY, named=True)]  # instances take 20 ms

    return [Number(*values) for values in cache.fetch(f"instances:numbers:{digest}", load, tags=("instances:all",))]
