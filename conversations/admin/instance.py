"""Admin pages of instances. Users enter an instance's name and server; Evolution's events set its other fields."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.access.policy import Access
from conversations.admin.access import NOTHING, access_of, may_view
from conversations.admin.base import BoundedAdmin, ReadOnly
from conversations.admin.display_names import format_address
from conversations.admin.markup import EMPTY, badge, png_image, pretty_json, web_link
from conversations.admin.paginator import count_up_to
from conversations.evolution.server_url import normalize_server_url, server_key
from conversations.models import Instance, Membership, Role, Scope
from conversations.webhooks import instances

MAX_COUNTED_ROWS = 1000  # above this number of related rows, the page shows "more than 1000"
_BADGE_STYLES = {
    Instance.State.OPEN: "good",
    Instance.State.CONNECTING: "waiting",
    Instance.State.CLOSED: "bad",
    Instance.State.REFUSED: "bad",
    Instance.State.UNKNOWN: "plain",
}
# The models with a list of an instance's rows → the title of the link, and the rows that it counts.
_RELATED = {
    "conversation": (_("conversations"), "conversations"),
    "contact": (_("contacts"), "contacts"),
    "message": (_("messages"), "messages"),
    "webhookevent": (_("webhook events"), "events"),
    "ingestcounter": (_("ingestion"), ""),
}
_ADD_HELP = _(
    "An instance needs a token before it can receive webhooks. "
    "The command manage.py webhook_token NAME creates a token and prints it once."
)


class InstanceForm(forms.ModelForm):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Form for a new instance, which validates name and server URL by the rules of the webhook endpoint.

    A global webhook sends the events of all instances of its server, also of those that it has not named yet. So only
    its managers may add one of them: whoever adds an instance sees its messages.

    Attributes:
        access: what the user may do.
    """

    access: ClassVar[Access] = NOTHING

    def clean_name(self) -> str:
        """Return the instance's name.

        Raises:
            ValidationError: the name cannot be part of a webhook URL.
        """
        name: str = self.cleaned_data["name"]
        if reason := instances.name_error(name):
            raise ValidationError(_("The name %(reason)s.") % {"reason": _(reason)})
        return name

    def clean(self) -> dict[str, Any]:
        """Return the values of all fields.

        Raises:
            ValidationError: the server has an instance of this name already, under another spelling of its URL.
        """
        values = super().clean() or self.cleaned_data
        name, server = values.get("name", ""), server_key(values.get("server_url", ""))
        if server and any(server_key(row.server_url) == server for row in Instance.objects.by_name(name)):
            raise ValidationError(_("The server has an instance of this name already."))
        return values

    def clean_server_url(self) -> str:
        """Return the server URL as it will be stored, without trailing slashes.

        Raises:
            ValidationError: the text is not a URL, or the URL contains credentials, a query or a fragment; or the
                server has a global webhook that the user does not manage.
        """
        try:
            url = normalize_server_url(self.cleaned_data["server_url"]) if self.cleaned_data["server_url"] else ""
        except ValueError as error:
            raise ValidationError(_("The server URL %(reason)s.") % {"reason": _(str(error))}) from None
        senders = Instance.objects.filter(is_global_webhook=True) if url else ()
        if any(server_key(one.server_url) == server_key(url) for one in senders if not self._manages(one)):
            raise ValidationError(_("The server has a global webhook, so only its managers add instances."))
        return url

    def _manages(self, row: Instance) -> bool:
        return self.access.allows(row.pk, Scope.MANAGE)


@admin.register(Instance)
class InstanceAdmin(BoundedAdmin):
    """Admin of the instances. Each instance's page shows the connection state and links to the instance's rows."""

    form = InstanceForm
    instance_field = "pk"
    ordering = ("name", "id")
    sortable_by = ("name",)
    list_display = ("name", "state_badge", "profile_name", "number", "server_url", "has_token", "updated_at")
    list_only_fields = (
        "name", "state", "is_removed", "profile_name", "owner_jid", "server_url", "token_hash", "updated_at",
    )  # fmt: skip
    list_filter = ("state", "is_removed")
    search_fields = ("name", "profile_name", "owner_jid__contains", "server_url")
    empty_text = _("No number is connected yet. Add an instance, then connect it with manage.py webhook_token NAME.")
    search_help_text = _("Search by part of a name, a number or a server URL.")

    # Users fill these fields when they add an instance. Later changes are forbidden (`has_change_permission` is False),
    # because an instance belongs to one WhatsApp number permanently.
    editable_fields = ("name", "server_url")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "server_url", "related_links")}),
        (_("Connection"), {"fields": ("state_badge", "state_reason", "pairing_qr_code", "is_removed")}),
        ("WhatsApp", {"fields": ("profile_name", "owner_jid", "picture", "evolution_id", "label_list")}),
        (_("Webhook token"), {"fields": ("has_token", "previous_token_until", "is_global_webhook")}),
        (_("Record"), {"fields": ("id", "created_at", "updated_at")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may add instances; the endpoint accepts webhooks only for existing instances."""
        return super(ReadOnly, self).has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may manage and delete this instance, which must have nothing but members."""
        may = obj is not None and self.may(request, obj, Scope.MANAGE)
        is_permitted = may and super(ReadOnly, self).has_delete_permission(request, obj)
        return is_permitted and not any(rows.exists() for rows in (obj.conversations, obj.contacts, obj.events))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - Django's hook
        """Return the form, a new class for each request, with what the user may do."""
        form: Any = super().get_form(request, obj, change, **options)
        form.access = access_of(request)
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Save a new instance; a user who is not a superuser becomes its manager, and so can see it."""
        super().save_model(request, obj, form, change)
        if not access_of(request).is_administrator:
            user = access_of(request).user_id
            Membership.objects.get_or_create(user_id=user, instance=obj, defaults={"role": Role.MANAGER})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the editable fields of a new instance; all fields of others, but the QR code to managers only."""
        if obj is None:
            return ((None, {"fields": self.editable_fields, "description": _ADD_HELP}),)
        hidden = () if self.may(request, obj, Scope.MANAGE) else ("pairing_qr_code",)
        return [
            (title, {**options, "fields": tuple(name for name in options["fields"] if name not in hidden)})
            for title, options in self.fieldsets
        ]

    @admin.display(description=_("state"))
    def state_badge(self, row: Instance) -> SafeString:
        """Return the instance's connection state in a colour."""
        if row.is_removed:
            return badge(_("removed"), "plain")
        return badge(row.get_state_display(), _BADGE_STYLES.get(Instance.State(row.state), "plain"))

    @admin.display(description=_("number"))
    def number(self, row: Instance) -> str:
        """Return the instance's own WhatsApp number."""
        return format_address(row.owner_jid)

    @admin.display(description=_("token"), boolean=True)
    def has_token(self, row: Instance) -> bool:
        """Return whether the instance has a webhook token, of which only the hash is stored."""
        return bool(row.token_hash)

    @admin.display(description=_("pairing QR code"))
    def pairing_qr_code(self, row: Instance) -> SafeString | str:
        """Return the QR code for pairing, while the instance waits to be paired with a phone."""
        if row.state != Instance.State.CONNECTING:
            return EMPTY
        return png_image(row.qr_code, alt=_("QR code to scan with WhatsApp"))

    @admin.display(description=_("picture"))
    def picture(self, row: Instance) -> SafeString | str:
        """Return a link to the picture, because an embedded picture would make browsers send requests to WhatsApp."""
        return web_link(row.picture_url)

    @admin.display(description=_("labels"))
    def label_list(self, row: Instance) -> SafeString | str:
        """Return the instance's labels as JSON."""
        return pretty_json(row.labels)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return an instance, with the names of the models whose rows the user may view."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.viewed = {model for model in _RELATED if may_view(request, model)}
        return row

    @admin.display(description=_("related pages"))
    def related_links(self, row: Any) -> SafeString | str:
        """Return links to the Ingestion page and the lists of the instance's rows, each with the number of rows."""
        links = (
            (
                reverse(f"admin:conversations_{model}_changelist"),
                row.pk,
                title,
                f": {_format_count(getattr(row, name).all())}" if name else "",
            )
            for model, (title, name) in _RELATED.items()
            if model in row.viewed
        )
        return format_html_join(" · ", '<a href="{}?instance={}">{}{}</a>', links) or EMPTY


def _format_count(rows: QuerySet[Any]) -> str:
    count, has_more = count_up_to(rows, MAX_COUNTED_ROWS)
    return _("more than %(count)d") % {"count": count} if has_more else str(count)
