"""Instances: added here by name and server, then as Evolution's events tell."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from conversations.admin.base import BoundedAdmin
from conversations.admin.display_names import number_of
from conversations.admin.markup import NOTHING, badge, png_image, pretty_json, web_link
from conversations.admin.paginator import count_within
from conversations.models import Instance
from conversations.webhooks import instances

# state → how its badge looks
_STYLES = {
    Instance.State.OPEN: "good",
    Instance.State.CONNECTING: "waiting",
    Instance.State.CLOSED: "bad",
    Instance.State.REFUSED: "bad",
    Instance.State.UNKNOWN: "plain",
}
_NEXT_STEP = "Webhooks come in once it has a token: manage.py webhook_token NAME issues one and shows it once."
_COUNTED = 1000  # related rows that are counted exactly


class InstanceForm(forms.ModelForm):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """What names an instance, by the rules of the webhooks' addresses."""

    def clean_name(self) -> str:
        """Refuse a name that no webhook URL could carry."""
        name: str = self.cleaned_data["name"]
        if reason := instances.name_error(name):
            raise ValidationError(f"The name {reason}.")
        return name

    def clean_server_url(self) -> str:
        """Return the server as every instance of it has it."""
        try:
            return instances.server_url(self.cleaned_data["server_url"]) if self.cleaned_data["server_url"] else ""
        except ValueError as error:
            raise ValidationError(f"It {error}.") from None


@admin.register(Instance)
class InstanceAdmin(BoundedAdmin):
    """Who is connected, and what each has."""

    form = InstanceForm
    ordering = ("name", "id")
    sortable_by = ("name",)
    list_display = ("name", "state_badge", "profile_name", "owner", "server_url", "has_token", "updated_at")
    listed = ("name", "state", "is_removed", "profile_name", "owner_jid", "server_url", "token_hash", "updated_at")
    list_filter = ("state", "is_removed")
    search_fields = ("name", "profile_name", "owner_jid__contains", "server_url")
    search_help_text = "Part of a name, a number or a server's address."

    local = ("name", "server_url")  # and these only while adding: a row belongs to one number for good
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("name", "server_url", "related")}),
        ("Connection", {"fields": ("state_badge", "state_reason", "pairing_image", "is_removed")}),
        ("WhatsApp", {"fields": ("profile_name", "owner_jid", "picture", "evolution_id", "label_list")}),
        ("Webhook token", {"fields": ("has_token", "previous_token_until", "is_global_webhook")}),
        ("Row", {"fields": ("id", "created_at", "updated_at")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """An instance may be here before its first event."""
        return super(BoundedAdmin, self).has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that was added by mistake may go; not one with a history, and never many at once."""
        may = obj is not None and super(BoundedAdmin, self).has_delete_permission(request, obj)
        return may and not any(rows.exists() for rows in (obj.conversations, obj.contacts, obj.events))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Ask for the name and the server when adding; nothing else is known then."""
        return self.fieldsets if obj else ((None, {"fields": self.editable_fields, "description": _NEXT_STEP}),)

    @admin.display(description="state")
    def state_badge(self, row: Instance) -> SafeString:
        """Show the state at a glance."""
        if row.is_removed:
            return badge("removed", "plain")
        return badge(row.state, _STYLES.get(Instance.State(row.state), "plain"))

    @admin.display(description="number")
    def owner(self, row: Instance) -> str:
        """Show its own number."""
        return number_of(row.owner_jid)

    @admin.display(description="token", boolean=True)
    def has_token(self, row: Instance) -> bool:
        """Tell whether webhooks can come in; the token itself is known to nobody here."""
        return bool(row.token_hash)

    @admin.display(description="pairing image")
    def pairing_image(self, row: Instance) -> SafeString | str:
        """Show what to scan while the instance waits for it."""
        if row.state != Instance.State.CONNECTING:
            return NOTHING
        return png_image(row.qr_code, alt="QR code to scan with WhatsApp")

    @admin.display(description="picture")
    def picture(self, row: Instance) -> SafeString | str:
        """Link the picture: shown here, it would tell WhatsApp who looks."""
        return web_link(row.picture_url)

    @admin.display(description="labels")
    def label_list(self, row: Instance) -> SafeString | str:
        """Show the labels as they are stored."""
        return pretty_json(row.labels)

    @admin.display(description="rows")
    def related(self, row: Instance) -> SafeString:
        """Lead to what the instance has; long lists are not counted to their end."""
        return format_html_join(
            " · ",
            '<a href="{}?instance={}">{}: {}</a>',
            (
                (reverse(f"admin:conversations_{name}_changelist"), row.pk, words, _amount(rows.all()))
                for name, words, rows in (
                    ("conversation", "conversations", row.conversations),
                    ("contact", "contacts", row.contacts),
                    ("message", "messages", row.messages),
                    ("webhookevent", "webhook events", row.events),
                )
            ),
        ) + format_html(
            ' · <a href="{}?instance={}">inbox</a>', reverse("admin:conversations_ingestcounter_changelist"), row.pk
        )


def _amount(rows: QuerySet[Any]) -> str:
    count, is_more = count_within(rows, _COUNTED)
    return f"more than {count}" if is_more else str(count)
