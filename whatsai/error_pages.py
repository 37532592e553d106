"""The pages of HTTP errors, in the look of the admin, for people: what happened, and what to do.

A page says nothing about the cause. It is rendered without the request and its user, so that it needs no database.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from logs import binding


class Page(NamedTuple):
    """The texts of a page: what happened, and what the reader can do."""

    title: Any
    advice: Any


PAGES: Mapping[int, Page] = {
    400: Page(_("The request is malformed"), _("Go back, and try again. If you followed a link, it is damaged.")),
    403: Page(
        _("You may not see this"),
        _("Your account lacks the permission for this page. Ask an administrator for it, or use another account."),
    ),
    404: Page(
        _("There is no such page"),
        _("The address has a mistake, the page was removed, or it belongs to a number that you may not see."),
    ),
    429: Page(_("Too many failed logins"), _("Wait before you try again.")),
    500: Page(
        _("The server failed"),
        _("Nothing that you did was wrong. Try again; if it fails again, give the reference below to the operator."),
    ),
    503: Page(_("The database does not answer"), _("It is not available or too slow now. Try again in some seconds.")),
}  # fmt: skip
EXPIRED_FORM = Page(
    _("The form has expired"),
    _(
        "Nothing was changed. Go back, load the page again, and send the form once more. Your browser must accept the "
        "cookies of this site."
    ),
)


def error_page(
    status: int, texts: Page | None = None, *, advice: str = "", headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the page of an error.

    Args:
        status: the HTTP status, one of `PAGES`.
        texts: other texts than those of the status.
        advice: another advice than that of the texts.
        headers: headers of the answer.
    """
    title, usual_advice = texts or PAGES[status]
    context = {
        "title": title,
        "advice": advice or usual_advice,
        "status": status,
        "reference": binding.current().get("request_id", ""),
        "site_header": admin.site.site_header,
        "site_title": admin.site.site_title,
    }
    return HttpResponse(render_to_string("error.html", context), status=status, headers=dict(headers or {}))
