"""Admin pages of memberships and reading records, and the memberships on a user's page."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from conversations.admin.base import ROWS_PER_PAGE, BoundedSearch, FixedOrder, ReadOnly
from conversations.admin.display_names import format_address
from conversations.admin.filters import INSTANCE, ActorFilter, InstanceFilter
from conversations.admin.markup import EMPTY
from conversations.admin.paginator import BoundedPaginator, count_up_to
from conversations.admin.readable_list import ReadableList
from conversations.models import Membership, ReadingRecord


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

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return a row for superusers; others get the same error whether the row exists or not."""
        if not self._is_superuser(request):
            raise PermissionDenied
        return super().get_object(request, *args, **kwargs)  # type: ignore[misc]  # a method of ModelAdmin

    @staticmethod
    def _is_superuser(request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


class SuperuserAdmin(ReadableList, BoundedSearch, SuperusersOnly, admin.ModelAdmin):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Base class of the admin of memberships, tokens and reading records."""

    paginator = BoundedPaginator
    list_per_page = list_max_show_all = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["conversations/admin.css"]}


@admin.register(Membership)
class MembershipAdmin(SuperuserAdmin):
    """Admin of the memberships: which user has which role in which instance."""

    list_display = ("user", "instance", "role", "created_at")
    list_select_related = ("user", "instance")
    list_filter = ("role",)
    empty_text = _("Only superusers see the numbers now. Add a membership to give a user a role in one number.")
    extra_lookups = ("user__id__exact",)
    search_fields = ("user__username", "instance__name")
    raw_id_fields = ("user", "instance")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002 - Django's hook
        """Return what cannot be changed: a membership is of one user in one instance."""
        return ["user", "instance"] if obj else []


@admin.register(ReadingRecord)
class ReadingRecordAdmin(FixedOrder, ReadOnly, SuperuserAdmin):
    """Admin of the records of who has read which conversation in the admin; nobody can change them there."""

    list_display = ("read_at", "username", "page", "conversation", "instance")
    list_select_related = ("instance",)
    list_filter = (ActorFilter, InstanceFilter, "read_at", "page")
    empty_text = _("Nobody has looked at messages in the admin yet.")
    checked = ("page__exact", "q")
    search_fields = ("username", "conversation_jid__contains")
    ordering = ("-read_at", "-id")
    sortable_by = ("read_at",)

    def checked_parameters(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the parameters without an index; the records of one user have no index by instance."""
        return (*self.checked, INSTANCE) if request.GET.get(ActorFilter.parameter_name) else self.checked

    @admin.display(description=_("conversation"))
    def conversation(self, row: ReadingRecord) -> Any:
        """Return the address of the conversation, with a link to it."""
        number = format_address(row.conversation_jid) or EMPTY
        if row.conversation_pk is None:
            return number
        url = reverse("admin:inbox_conversation", args=[row.conversation_pk])
        return format_html('<a href="{}">{}</a>', url, number)


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg] # as above
    """The memberships on a user's page."""

    model = Membership
    raw_id_fields = ("instance",)
    extra = 0


# The names of Django's permissions, which the database keeps in English, by the beginning of their code.
PERMISSIONS = {
    "add": _("Can add %(model)s"),
    "change": _("Can change %(model)s"),
    "delete": _("Can delete %(model)s"),
    "view": _("Can view %(model)s"),
}


def permission_name(permission: Permission) -> str:
    """Return what a permission permits, in the language of the request."""
    model, text = permission.content_type.model_class(), PERMISSIONS.get(permission.codename.partition("_")[0])
    name = permission.name if model is None or text is None else text % {"model": model._meta.verbose_name}  # noqa: SLF001 - documented
    return f"{permission.content_type} | {name}"


class TranslatedPermissions:
    """Shows permissions in the language of the request."""

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """Return the field of a form."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]  # a method of ModelAdmin
        if db_field.related_model is Permission:
            field.label_from_instance = permission_name
        return field


class UserWithMembershipsAdmin(ReadableList, TranslatedPermissions, BoundedSearch, SuperusersOnly, UserAdmin):  # type: ignore[type-arg] # as above
    """Django's admin of users, with the memberships of the user, or a link to them if there are many."""

    inlines: ClassVar[Any] = (MembershipInline,)
    readonly_fields = ("membership_list",)
    fieldsets: ClassVar[Any] = (*(UserAdmin.fieldsets or ()), (None, {"fields": ("membership_list",)}))

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Return the form of the memberships, unless there are too many for one page."""
        has_many = obj is not None and count_up_to(Membership.objects.filter(user=obj), ROWS_PER_PAGE)[1]
        return () if has_many else super().get_inlines(request, obj)

    @admin.display(description=_("memberships"))
    def membership_list(self, row: User) -> SafeString:
        """Return a link to the memberships of the user."""
        url = reverse("admin:conversations_membership_changelist")
        return format_html('<a href="{}?user__id__exact={}">{}</a>', url, row.pk, _("memberships"))


class RightsGroupAdmin(ReadableList, TranslatedPermissions, BoundedSearch, SuperusersOnly, GroupAdmin):
    """Django's admin of groups, which give their users rights."""


admin.site.unregister([User, Group])
admin.site.register(User, UserWithMembershipsAdmin)
admin.site.register(Group, RightsGroupAdmin)
