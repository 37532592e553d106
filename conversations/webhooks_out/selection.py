"""Which changes a subscription gets: those that it asks for, of the rows that its user may read now."""

from collections.abc import Mapping
from typing import Any

from conversations.access.reading import access_of_user
from conversations.changes import log
from conversations.changes.feed import cursor_at
from conversations.changes.log import Selection
from conversations.models import Change, WebhookSubscription


def selection_of(subscription: WebhookSubscription) -> Selection | None:
    """Return which changes are read for a subscription; None if its user may do nothing any more."""
    access = access_of_user(subscription.user)
    if access is None:
        return None
    resources = frozenset(name.partition(".")[0] for name in subscription.events)
    return Selection(access.visible(subscription.instance_ids or None), resources or None)


def wants(subscription: WebhookSubscription, change: Mapping[str, Any]) -> bool:
    """Return whether a subscription gets a change; every subscription gets resets."""
    return (
        not subscription.events
        or change["kind"] == Change.Kind.RESET
        or f"{change['resource']}.{change['kind']}" in subscription.events
    )


def present_cursor(subscription: WebhookSubscription) -> str:
    """Return the cursor of a receiver that wants to hear of changes from now on."""
    return cursor_at(log.head(), selection_of(subscription) or Selection(frozenset()))
