"""Why events have their outcome, in English, as the database keeps it; the admin translates it."""

from django.utils.translation import gettext_noop as _

from conversations.evolution.coerce import NOT_AN_OBJECT
from conversations.models.stored_texts import plural

OTHER_INSTANCE = _("the body names another instance (%(named)s) than the webhook's URL (%(expected)s)")
NOT_UNDERSTOOD = plural("%(count)s item not understood: %(first)s", "%(count)s items not understood: %(first)s")

TEMPLATES = (NOT_UNDERSTOOD, OTHER_INSTANCE, NOT_AN_OBJECT)
