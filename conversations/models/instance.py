"""The model of an instance: one WhatsApp number that an Evolution server connects to WhatsApp."""

import datetime as dt
import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Any

from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cachelayer import Page
from conversations.db.managers import TableManager
from conversations.evolution import jid as jids
from conversations.models.base import PAGE_SIZE, TimestampedModel

MAX_LABELS = 100  # labels that are shown of an instance or a conversation; WhatsApp permits 20

# How long the previous webhook token stays valid after a new one is issued. Evolution retries an event with its
# original headers for up to half an hour, and an operator needs time to paste the new token.
TOKEN_GRACE_PERIOD = dt.timedelta(hours=1)


def hash_token(token: str) -> str:
    """Return the hash that is stored for a token. One round of SHA-256 is enough, as tokens are long and random."""
    return sha256(token.encode()).hexdigest()


def name_digest(name: str) -> str:
    """Return a short hash of an instance name for cache tags, so that no cache key contains the name."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


class InstanceManager(TableManager["Instance"]):
    """Reads and upserts instances, and issues their webhook tokens."""

    def page(
        self, pks: Collection[int] | None = None, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False
    ) -> Page["Instance"]:
        """Return a page of the instances with some primary keys, ordered by name; None stands for all instances.

        `fresh` skips the local cache, as in `fetch`.
        """
        pks = None if pks is None else tuple(sorted(pks))
        order = ("name", "id")

        def rows() -> QuerySet["Instance"]:
            return self.all() if pks is None else self.filter(pk__any_of=pks)

        return self.fetch_page("instances:all", rows, order, cursor=cursor, limit=limit, fresh=fresh, pks=pks)

    def by_name(self, name: str) -> list["Instance"]:
        """Return the instances with this name. Two Evolution servers may have instances of the same name.

        The instances contain the token hashes with which webhook requests are authenticated.
        """
        return self.fetch_trusted(f"instances:named:{name_digest(name)}", lambda: self.filter(name=name).order_by("id"))

    def lock(self, pk: int) -> "Instance":
        """Lock the instance's row until the transaction ends, and return the instance.

        The lock of this row is called the instance lock. Code that writes several rows of one instance must hold the
        instance lock.
        """
        return self.select_for_update(no_key=True).get(pk=pk)

    def lock_many(self, pks: Collection[int]) -> list["Instance"]:
        """Lock the rows of several instances, as `lock` does; the order of the locks is that of the primary keys."""
        return list(self.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk")) if pks else []

    def lock_of(self, rows: QuerySet[Any]) -> "Instance":
        """Lock the instance that a row belongs to, as `lock` does, before the row itself is locked.

        Raises:
            ObjectDoesNotExist: `rows` contains no row.
        """
        return self.lock(rows.values_list("instance", flat=True).get())

    def upsert(self, name: str, server_url: str = "", **fields: Any) -> tuple["Instance", bool]:
        """Create an instance, or update the fields of the existing one; return the instance and whether it is new."""
        if not fields:
            return self.get_or_create(name=name, server_url=server_url)
        return self.update_or_create(name=name, server_url=server_url, defaults=fields)

    def issue_token(self, pk: int, *, token: str = "", revoke_old: bool = False) -> str:
        """Give the instance a new webhook token, store a hash of the token, and return the token.

        Args:
            pk: the instance's primary key.
            token: the new token; "" generates a random one.
            revoke_old: reject the previous token from now on. By default the previous token stays valid for
                `TOKEN_GRACE_PERIOD`, so that no webhook is rejected while the operator configures the new token.

        Raises:
            Instance.DoesNotExist: no instance has this primary key.
        """
        token = token or secrets.token_urlsafe(32)
        with transaction.atomic():
            row = self.select_for_update().get(pk=pk)
            row.previous_token_hash = "" if revoke_old else row.token_hash
            row.previous_token_until = timezone.now() + TOKEN_GRACE_PERIOD if row.previous_token_hash else None
            row.token_hash = hash_token(token)
            row.save(update_fields=["token_hash", "previous_token_hash", "previous_token_until", "updated_at"])
        return token

    def delete(self, pk: int) -> bool:
        """Delete the instance and all rows that belong to it; return whether the instance existed."""
        return bool(self.filter(pk=pk).delete()[0])


class Instance(TimestampedModel):
    """One WhatsApp number. Its name is unique only on its Evolution server, so the unique key includes `server_url`."""

    class State(models.TextChoices):
        """The state of an instance's connection to WhatsApp; the stored values are those of Evolution's API."""

        UNKNOWN = "unknown"
        CLOSED = "close", "closed"
        REFUSED = "refused"
        CONNECTING = "connecting"
        OPEN = "open"

    name = models.CharField(max_length=255)
    server_url = models.CharField(max_length=255, blank=True, default="", help_text="Evolution's SERVER_URL")
    evolution_id = models.CharField(max_length=64, blank=True, default="", help_text="Evolution's instanceId")

    state = models.CharField(max_length=16, choices=State, default=State.UNKNOWN)
    state_reason = models.IntegerField(null=True, blank=True, help_text="Evolution's statusReason")
    is_removed = models.BooleanField(default=False, help_text="deleted on the Evolution server")
    owner_jid = models.CharField(max_length=128, blank=True, default="")
    own_lids = models.JSONField(default=list, blank=True, editable=False, help_text="the instance's own LIDs")
    own_names = models.JSONField(default=list, blank=True, editable=False, help_text="names that the instance has had")
    profile_name = models.CharField(max_length=255, blank=True, default="")
    picture_url = models.TextField(blank=True, default="")
    qr_code = models.TextField(blank=True, default="", help_text="data URL of the latest pairing image")
    labels = models.JSONField(default=dict, blank=True, help_text="label id → {name, color, deleted}")

    token_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_token_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_token_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_global_webhook = models.BooleanField(
        default=False, help_text="the webhook token is valid for every instance of the server (global webhook)"
    )

    objects: InstanceManager = InstanceManager()
    str_fields = ("name", "server_url")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server_url", "name"], name="instance_name")]
        indexes = [models.Index(fields=["name", "id"], name="instance_by_name")]

    @property
    def current_state(self) -> str:
        """The state to show: a removed instance is closed, although Evolution goes on to report its attempts."""
        return self.State.CLOSED if self.is_removed else self.state

    @property
    def deleted_labels(self) -> set[str]:
        """The ids of the deleted labels. Conversations keep such a label, but do not show it."""
        return {label_id for label_id, label in self.labels.items() if label.get("deleted")}

    @property
    def usable_labels(self) -> set[str]:
        """The ids of the labels that can be attached to conversations."""
        return set(self.labels) - self.deleted_labels

    @property
    def own_addresses(self) -> list[jids.Address]:
        """The known addresses of the instance itself: its phone number, if known, and its LIDs."""
        return [address for jid in (self.owner_jid, *self.own_lids) if (address := jids.parse(jid))]

    @property
    def name_digest(self) -> str:
        """The hash of the instance's name, which cache tags contain instead of the name."""
        return name_digest(self.name)
