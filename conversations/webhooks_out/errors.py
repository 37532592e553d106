"""Why a delivery fails, in English, as attempts and subscriptions store it; the admin translates it."""

from django.utils.translation import gettext_noop as _

NO_ANSWER = _("no answer within %(seconds)s s")
BAD_CERTIFICATE = _("the certificate is not valid: %(reason)s")
NO_CONNECTION = _("the connection failed: %(reason)s")
NOT_HTTP = _("the answer is not HTTP")
ANSWERED = _("answered %(status)s")
REDIRECTED = _("answered %(status)s; redirects are not followed")

PRIVATE_ADDRESS = _("must not lead to a private network, as %(host)s does")
NOT_LOOKED_UP = _("the name %(host)s was not looked up: too many others do not answer")
NO_ADDRESS = _("the name %(host)s does not lead anywhere")
PRIVATE_NAME = _("%(host)s leads to a private network (WEBHOOKS_ALLOW_PRIVATE is not set)")

GONE = _("the receiver answered 410: it wants no more deliveries")
FAILED_FOR_A_DAY = _("no delivery has succeeded for a day; the last error: %(error)s")

TEMPLATES = (
    *(FAILED_FOR_A_DAY, NO_ANSWER, BAD_CERTIFICATE, NO_CONNECTION, REDIRECTED, ANSWERED),
    *(PRIVATE_ADDRESS, NOT_LOOKED_UP, NO_ADDRESS, PRIVATE_NAME),
)
