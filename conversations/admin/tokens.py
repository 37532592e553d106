"""Admin pages of API tokens. The page after the form shows a new token once; it is stored nowhere but as a hash."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.admin.instance_choice import instance_choice
from conversations.admin.markup import EMPTY, badge
from conversations.admin.users import SuperuserAdmin
from conversations.models import ApiToken, Instance, Scope

_SECRET = "_new_token_secret"  # noqa: S105 - where a request keeps the secret of its new token for the next page
REVOKE = "_revoke"  # the name of the button
REVOKED = "Revoked."


class NewTokenForm(forms.ModelForm):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Form of a new token, with one box for each scope."""

    scopes = forms.MultipleChoiceField(
        label=capfirst(_("scopes")),
        choices=Scope.choices,
        initial=list(Scope.values),
        widget=forms.CheckboxSelectMultiple,
    )
    instances = instance_choice(
        _("Limits the token to these instances. Without a choice, the token sees all instances of its user.")
    )

    def clean(self) -> dict[str, Any] | None:
        """Store the chosen instances in the token."""
        values = super().clean()
        chosen = self.cleaned_data.get("instances") or ()
        self.instance.instance_ids = sorted(row.pk for row in chosen) or None
        return values


@admin.register(ApiToken)
class ApiTokenAdmin(SuperuserAdmin):
    """Admin of the API tokens. What a token permits cannot be changed: issue another one, and revoke this one."""

    list_display = ("hint", "name", "user", "state", "scope_names", "last_used_at", "expires_at", "created_at")
    list_select_related = ("user",)
    empty_text = _("No tokens yet. Add one for each program that uses the API.")
    search_fields = ("name", "hint", "user__username")
    ordering = ("-id",)
    raw_id_fields = ("user",)
    actions = ("revoke",)
    new_fields = ("user", "name", "scopes", "instances", "expires_at")
    fields = (
        *("hint", "name", "user", "state", "scope_names", "instance_names"),
        *("created_at", "made_by", "last_used_at", "expires_at", "revoked_at"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return the fields of the form for a new token, or those of the page of a token."""
        return self.fields if obj else self.new_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return all fields of a token but its name."""
        return [name for name in self.fields if name != "name"] if obj else []

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - Django's hook
        """Return the form for a new token, or a form that changes only the name."""
        return super().get_form(request, obj, change, **(options if obj else {**options, "form": NewTokenForm}))

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: Any) -> None:
        """Save the name of a token, or a new token."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            setattr(request, _SECRET, obj.set_secret())
            super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 - Django's hook
        """Show the new token. No redirect follows, because the next request could find the token only in a store."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("New API token"),
            "opts": self.opts,
            "row": obj,
            "secret": getattr(request, _SECRET),
        }
        return TemplateResponse(request, "admin/conversations/apitoken/issued.html", context)

    def response_change(self, request: HttpRequest, obj: ApiToken) -> HttpResponse:
        """Revoke the token if the button for that was pressed."""
        if REVOKE not in request.POST:
            return super().response_change(request, obj)
        obj.revoke()
        self.message_user(request, _("The token is revoked."), messages.SUCCESS)
        return HttpResponseRedirect(request.get_full_path())

    def construct_change_message(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return what the history of the token says about the change."""
        return REVOKED if REVOKE in request.POST else super().construct_change_message(request, *args, **kwargs)

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End the selected tokens now, and those that they have made."""
        tokens = list(queryset)
        for token in tokens:
            token.revoke()
            self.log_change(request, token, REVOKED)
        text = ngettext("%(count)d token revoked.", "%(count)d tokens revoked.", len(tokens))
        self.message_user(request, text % {"count": len(tokens)}, messages.SUCCESS)

    @admin.display(description=_("state"))
    def state(self, row: ApiToken) -> str:
        """Return whether the token is valid, has expired or is revoked."""
        if row.revoked_at:
            return badge(_("revoked"), "plain")
        return badge(_("valid"), "good") if row.is_live else badge(_("expired"), "waiting")

    @admin.display(description=_("scopes"))
    def scope_names(self, row: ApiToken) -> str:
        """Return what the token may do."""
        return ", ".join(str(Scope(name).label) for name in row.scopes)

    @admin.display(description=_("instances"))
    def instance_names(self, row: ApiToken) -> str:
        """Return the names of the instances to which the token is limited."""
        if row.instance_ids is None:
            return str(_("all of the user"))
        names = Instance.objects.filter(pk__in=row.instance_ids).order_by("name").values_list("name", flat=True)
        return ", ".join(cast("Any", names)) or EMPTY
