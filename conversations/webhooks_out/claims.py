"""Lets one process at a time deliver for a subscription: a claim, which ends if it is not renewed.

So a subscription gets its changes in order though many workers run on many hosts. If a process is killed, others take
its subscriptions over. The time is the database's, because the clocks of hosts may differ.
"""

import datetime as dt
from uuid import uuid4

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from conversations.models import WebhookSubscription

CLAIM = dt.timedelta(seconds=60)  # how long a claim holds; much longer than a delivery may take
SKEW_LIMIT = 2 * CLAIM  # a claim that ends further ahead is from before the database's clock was set back


class Claims:
    """The subscriptions that one process delivers for."""

    def __init__(self) -> None:
        self.owner = uuid4().hex

    def renew(self) -> list[WebhookSubscription]:
        """Claim what nobody has, renew the claims of this process, and return the claimed subscriptions.

        Raises:
            DatabaseError, InterfaceError: the database is unavailable.
        """
        now = Now()
        rows = WebhookSubscription.objects.active()
        is_free = Q(claimed_until=None) | Q(claimed_until__lt=now) | Q(claimed_until__gt=now + SKEW_LIMIT)
        wanted = rows.filter(is_free)
        ending = rows.filter(claimed_by=self.owner, claimed_until__lt=now + CLAIM / 2)
        if (wanted | ending).exists():
            with transaction.atomic():
                locked = (wanted | ending).select_for_update(skip_locked=True, no_key=True)
                pks = list(locked.values_list("pk", flat=True))
                WebhookSubscription.objects.filter(pk__in=pks).update(claimed_by=self.owner, claimed_until=now + CLAIM)
        return list(rows.filter(claimed_by=self.owner, claimed_until__gt=now))

    def own(self, pk: int) -> WebhookSubscription | None:
        """Return a subscription as it is now; None if it is off, or if this process no longer delivers for it."""
        rows = WebhookSubscription.objects.active().filter(pk=pk, claimed_by=self.owner, claimed_until__gt=Now())
        return rows.select_related("user").first()

    def release(self) -> None:
        """End the claims of this process, so that another one can go on at once."""
        WebhookSubscription.objects.filter(claimed_by=self.owner).update(claimed_by="", claimed_until=None)
