"""What rules and checks find, in English, as the database keeps it; translated where people read it."""

from django.utils.translation import gettext_noop as _

from conversations.models.stored_texts import plural, translate

NONE_SINCE = _("none since %(time)s UTC")
WAITING = plural("%(count)s waits, for %(seconds)s s", "%(count)s wait, the earliest for %(seconds)s s")
LAGGING = _("by %(seconds)s s")
NOT_RUN = _("did not run since %(time)s UTC")
DIFFERS = plural("%(count)s row of %(entries)s entries differs", "%(count)s rows of %(entries)s entries differ")
STATES = (_("close"), _("refused"), _("connecting"))  # of numbers that are not connected, as Evolution names them

# Steps of the probe, and what can happen to them.
EVENT_STREAM, WEBHOOK, API = _("the event stream"), _("the webhook"), _("the API")
ANSWERED = _("%(step)s answered %(status)s")
NO_ANSWER = _("%(step)s did not answer within %(seconds)s s")
FAILED = _("%(step)s failed: %(error)s")
NOT_ARRIVED = _("the message did not arrive within %(seconds)s s")
OTHER_TEXT = _("the API shows another text")

TEMPLATES = (NONE_SINCE, WAITING, LAGGING, NOT_RUN, DIFFERS, NOT_ARRIVED, NO_ANSWER, ANSWERED, FAILED)


def translate_detail(detail: str) -> str:
    """Return a detail in the language that is active."""
    return translate(detail, TEMPLATES)
