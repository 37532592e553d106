"""Admin pages of memberships, API tokens and reading records, and the memberships on a user's page."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from conversations.admin.base import ReadOnly
from conversations.admin.paginator import BoundedPaginator
from conversations.models import ApiToken, Membership, ReadingRecord, Scope


class SuperusersOnly:
    """Limits admin pages that decide about access, or show what all users do, to superusers.

    Without this limit, staff with Django's permission to change users could make themselves superusers.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is a superuser."""
        return self._is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return whether the user is a superuser."""
        return self._is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is a superuser."""
        return self._is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return whether the user is a superuser."""
        return self._is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return whether the user is a superuser."""
        return self._is_superuser(request)

    @staticmethod
    def _is_superuser(request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


class SuperuserAdmin(SuperusersOnly, admin.ModelAdmin):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Base class of the admin of memberships, tokens and reading records."""

    paginator = BoundedPaginator
    show_full_result_count = False


@admin.register(Membership)
class MembershipAdmin(SuperuserAdmin):
    """Admin of the memberships: which user has which role in which instance."""

    list_display = ("user", "instance", "role", "created_at")
    list_select_related = ("user", "instance")
    list_filter = ("role",)
    search_fields = ("user__username", "instance__name")
    raw_id_fields = ("user", "instance")


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Form of a token, with one box for each scope."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=list(Scope.values), widget=forms.CheckboxSelectMultiple
    )


@admin.register(ApiToken)
class ApiTokenAdmin(SuperuserAdmin):
    """Admin of the API tokens. A new token is shown once, after it is saved."""

    form = ApiTokenForm
    list_display = ("hint", "name", "user", "scopes", "expires_at", "revoked_at", "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "hint", "user__username")
    raw_id_fields = ("user",)
    fields = ("user", "name", "scopes", "instance_ids", "expires_at", "hint", "created_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002 - Django's hook
        """Return what cannot be changed: the user of a token stays the same."""
        return ["hint", "created_at", "revoked_at", *(["user"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: Any) -> None:
        """Save a token, and show a new one."""
        token = "" if change else obj.set_secret()
        super().save_model(request, obj, form, change)
        if token:
            self.message_user(request, f"New API token, which cannot be shown again: {token}", messages.SUCCESS)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """End the selected tokens now."""
        tokens = list(queryset)
        for token in tokens:
            token.revoke()
        self.message_user(request, f"{len(tokens)} token{pluralize(len(tokens))} revoked.", messages.SUCCESS)


@admin.register(ReadingRecord)
class ReadingRecordAdmin(ReadOnly, SuperuserAdmin):
    """Admin of the records of who has read which conversation in the admin; nobody can change them there."""

    list_display = ("read_at", "username", "instance", "conversation_jid")
    list_select_related = ("instance",)
    search_fields = ("username", "conversation_jid__contains")
    ordering = ("-read_at",)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg] # as above
    """The memberships on a user's page."""

    model = Membership
    raw_id_fields = ("instance",)
    extra = 0


class UserWithMembershipsAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg] # as above
    """Django's admin of users, with the memberships of the user."""

    inlines: ClassVar[Any] = (MembershipInline,)


admin.site.unregister(User)
admin.site.register(User, UserWithMembershipsAdmin)
