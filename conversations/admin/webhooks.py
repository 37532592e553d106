"""Admin pages of outgoing webhooks, and of the attempts to deliver. A secret is shown only when it is made."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.admin.base import FixedOrder, ReadOnly
from conversations.admin.instance_choice import instance_choice
from conversations.admin.markup import badge, format_time
from conversations.admin.users import SuperuserAdmin
from conversations.models import DeliveryAttempt, Instance, WebhookSubscription
from conversations.models.stored_texts import translate
from conversations.models.webhook_subscription import ALL_EVENTS, TooManySubscriptions, new_secret
from conversations.webhooks_out.addresses import AddressRefused, check_address
from conversations.webhooks_out.errors import TEMPLATES
from conversations.webhooks_out.selection import present_cursor

MAX_ATTEMPTS = 10  # that the page of a webhook shows
_NOTHING_SENT = _("Nothing was sent yet.")
_INSTANCES_DELETED = _(
    "All instances of this webhook were deleted, so it sends no changes. Choose others, or delete it."
)


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Form of a webhook."""

    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in ALL_EVENTS],
        required=False,
        label=capfirst(_("events")),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The changes that are sent. Without a choice, all are."),
    )
    instances = instance_choice(_("Only changes of these instances are sent. Without a choice, of all."))

    class Meta:
        model = WebhookSubscription
        fields = ("name", "url", "events", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.instance.instance_ids
        self.fields["instances"].initial = known
        if known and not Instance.objects.filter(pk__in=known).exists():
            self.fields["instances"].help_text = _INSTANCES_DELETED

    def clean_url(self) -> str:
        """Return the URL, if deliveries may be sent there."""
        url = str(self.cleaned_data["url"])
        try:
            check_address(url)
        except AddressRefused as error:
            raise ValidationError(_("This %(reason)s.") % {"reason": error.translated}) from None
        return url

    def clean(self) -> dict[str, Any] | None:
        """Store the chosen instances; refuse a webhook too many.

        Instances that were deleted stay: without them, a webhook of these alone would send the changes of all.
        """
        values = super().clean()
        if self.instance.pk is None:
            try:
                WebhookSubscription.objects.check_number()
            except TooManySubscriptions as error:
                raise ValidationError(str(error)) from None
        known = set(self.instance.instance_ids)
        deleted = known - set(Instance.objects.filter(pk__in=known).values_list("pk", flat=True))
        self.instance.instance_ids = sorted(deleted | {row.pk for row in self.cleaned_data.get("instances") or ()})
        return values


@admin.register(WebhookSubscription)
class WebhookAdmin(SuperuserAdmin):
    """Admin of the outgoing webhooks. Each sends what the user who has made it may read."""

    form = WebhookForm
    list_display = ("label", "url", "state", "delivered_at", "failing_since", "user")
    list_select_related = ("user",)
    search_fields = ("name", "url")
    empty_text = _("No webhooks yet. Add one to send each change to another system.")
    ordering = ("-id",)
    fields = ("name", "url", "events", "instances", "is_active")
    state_fields = (
        *("state", "delivered_at", "failing_since", "failures", "next_attempt_at", "attempt_list"),
        *("user", "created_at", "updated_at"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return the fields of the form; for a webhook that exists, with its state."""
        return (*self.fields, *self.state_fields) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return the fields that show the state."""
        return self.state_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: Any) -> None:
        """Save a webhook. A new one gets the changes from now on; one that is turned on goes on."""
        if not change:
            obj.user = request.user  # type: ignore[assignment]  # superusers only
            obj.cursor = present_cursor(obj)
            obj.save(force_insert=True)
            return
        if obj.is_active and "is_active" in form.changed_data:
            obj.turn_on()
        obj.save(update_fields=[*WebhookForm.Meta.fields, "instance_ids", *obj.STATE, "updated_at"])

    def response_add(self, request: HttpRequest, obj: WebhookSubscription, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ARG002 - Django's hook
        """Show the secret of the new webhook."""
        return self._show_secret(request, obj)

    def response_change(self, request: HttpRequest, obj: WebhookSubscription) -> HttpResponse:
        """Send a test or replace the secret, if a button for that was pressed."""
        if "_rotate" in request.POST:
            obj.secret = new_secret()
            obj.save(update_fields=["secret", "updated_at"])
            return self._show_secret(request, obj)
        if "_test" in request.POST:
            obj.test_requested = obj.is_active
            obj.save(update_fields=["test_requested", "updated_at"])
            text = (
                _("A test is sent within some seconds; see the attempts.")
                if obj.is_active
                else _("The webhook is off.")
            )
            self.message_user(request, text, messages.SUCCESS if obj.is_active else messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_change(request, obj)

    def _show_secret(self, request: HttpRequest, row: WebhookSubscription) -> HttpResponse:
        """Return a page with the secret. No redirect follows, because the next request must not show it."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Secret of the webhook"),
            "opts": self.opts,
            "row": row,
            "secret": row.secret,
        }
        return TemplateResponse(request, "admin/conversations/webhooksubscription/secret.html", context)

    @admin.display(description=_("webhook"), ordering="id")
    def label(self, row: WebhookSubscription) -> str:
        """Return the name."""
        return row.name or str(row)

    @admin.display(description=_("state"))
    def state(self, row: WebhookSubscription) -> str:
        """Return whether the webhook is on, fails, or was turned off, and why."""
        if not row.is_active:
            return format_html("{} {}", badge(_("off"), "plain"), translate(row.off_reason, TEMPLATES))
        return badge(_("failing"), "waiting") if row.failing_since else badge(_("on"), "good")

    @admin.display(description=_("attempts"))
    def attempt_list(self, row: WebhookSubscription) -> SafeString:
        """Return the latest attempts to deliver, and a link to the list of all."""
        items = format_html_join(
            "",
            '<li><time datetime="{}">{}</time> {} <span class="quiet">{} · {}</span></li>',
            (
                (one.at.isoformat(), format_time(one.at), outcome(one), one.get_kind_display(), _took(one))
                for one in row.attempts.order_by("-pk")[:MAX_ATTEMPTS]
            ),
        )
        url = f"{reverse('admin:conversations_deliveryattempt_changelist')}?subscription__id__exact={row.pk}"
        every = format_html('<li><a href="{}">{}</a></li>', url, _("All attempts"))
        return format_html(
            '<ul class="plain-list">{}{}</ul>', items or format_html("<li>{}</li>", _NOTHING_SENT), every
        )


def _took(attempt: DeliveryAttempt) -> str:
    return _("%(count)s ms") % {"count": number_format(attempt.duration_ms, force_grouping=True)}


def outcome(attempt: DeliveryAttempt) -> SafeString:
    """Return the HTTP status of an attempt, or why it failed."""
    if attempt.is_success:
        return badge(str(attempt.status), "good")
    detail = translate(attempt.error, TEMPLATES)
    return format_html('{} <span class="cell-detail">{}</span>', badge(_("failed"), "bad"), detail)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(FixedOrder, ReadOnly, SuperuserAdmin):
    """Admin of the attempts to deliver; one can be the place from which everything is delivered again."""

    list_display = ("at", "subscription", "kind", "changes", "outcome", "duration_ms", "message_id")
    list_display_links = None
    list_select_related = ("subscription",)
    list_filter = ("subscription", "kind")
    empty_text = _("Nothing was sent yet. Attempts appear when an outgoing webhook has something to deliver.")
    checked = ("kind__exact",)
    ordering = ("-id",)
    sortable_by = ()
    actions = ("replay",)

    @admin.display(description=_("outcome"))
    def outcome(self, row: DeliveryAttempt) -> SafeString:
        """Return the HTTP status of the receiver's response, or the error if there was no response."""
        return outcome(row)

    @admin.action(description=_("Deliver again from here"), permissions=["view"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeliveryAttempt]) -> None:
        """Set the webhook of each selected attempt back to the position before it."""
        attempts = {row.subscription_id: row for row in queryset.order_by("-pk")}
        for attempt in attempts.values():
            with transaction.atomic():
                row = WebhookSubscription.objects.select_for_update(no_key=True).get(pk=attempt.subscription_id)
                row.replay(attempt.cursor)
            self.log_change(request, row, "Replayed.")
        text = ngettext("%(count)d webhook delivers again.", "%(count)d webhooks deliver again.", len(attempts))
        self.message_user(request, text % {"count": len(attempts)}, messages.SUCCESS)
