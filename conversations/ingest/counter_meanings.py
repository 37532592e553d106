"""What each counter of ingestion counts, for people who read the counters."""

from django.utils.translation import gettext_lazy as _

MEANINGS = {
    "received": _("stored events, repetitions included"),
    "applied": _("events whose content was merged"),
    "messages": _("new messages that are not older than a day"),
    "ignored": _("events with nothing to keep"),
    "unknown": _("events that no parser understands"),
    "unsupported": _("messages whose content no table describes; their texts are kept"),
    "foreign": _("events of another instance"),
    "failed": _("events that could not be applied, for good"),
    "retried": _("events that could not be applied, for now"),
    "coalesced": _("states that a later one of the same window made unnecessary"),
    "collapsed": _("rows of applied states that were deleted, because a later row says the same"),
    "refused": _("requests without a valid token, answered 401"),
    "other_server": _("events that named another Evolution server than the instance has"),
    "delayed": _("events that waited for the next batch of their instance, or were answered 429"),
    "overloaded": _("events answered 503 because too many of the instance, or of all, waited"),
    "expired": _("updates whose message never came"),
}
