"""Serializers of what a request may do: its user, memberships and tokens; and of the bodies that change them."""

from typing import Any

from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.bodies import Body, BoundedListField, TextField, WholeField
from conversations.models import ApiToken, Membership, Role, Scope

MAX_DAYS = 36_500  # a century
MAX_SCOPES = 20  # a scope may be repeated
MAX_INSTANCES = 1000  # instances to which one token can be limited


# --- tokens -----------------------------------------------------------------------------------------------------------
class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """One API token, without its secret."""

    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), help_text="What the token may do.")
    instance_ids = serializers.ListField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="The instances to which the token is limited; null for all of its user.",
    )

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = (
            "id", "name", "hint", "scopes", "instance_ids", "created_at", "last_used_at", "expires_at", "revoked_at",
        )  # fmt: skip
        read_only_fields = fields


class NewTokenSerializer(TokenSerializer):
    """A new API token, with its secret, which cannot be shown again."""

    token = serializers.CharField(help_text="The secret, for the `Authorization` header.")

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")
        read_only_fields = fields


class TokenBody(Body):
    """The name, the rights and the end of a new token."""

    name = TextField(max_length=100, default="", allow_blank=True, help_text="The purpose of the token.")
    scopes = BoundedListField(
        child=serializers.ChoiceField(Scope.choices),
        min_length=1,
        max_length=MAX_SCOPES,
        help_text="What the token may do.",
    )
    instance_ids = BoundedListField(
        child=WholeField(min_value=1, max_value=MAX_ID),
        min_length=1,
        max_length=MAX_INSTANCES,
        allow_null=True,
        default=None,
        help_text="The instances to which the token is limited; null for all that the request may see.",
    )
    days = WholeField(
        min_value=1,
        max_value=MAX_DAYS,
        allow_null=True,
        default=None,
        help_text="After how many days the token ends; null for never, or with the present token.",
    )


# --- memberships ------------------------------------------------------------------------------------------------------
class MembershipSerializer(serializers.ModelSerializer[Membership]):
    """The role of one user in one instance."""

    username = serializers.CharField(source="user.username")

    class Meta:
        model = Membership
        fields = ("id", "instance_id", "user_id", "username", "role", "created_at")
        read_only_fields = fields


class RoleBody(Body):
    """The new role of a membership."""

    role = serializers.ChoiceField(Role.choices)


class MembershipBody(RoleBody):
    """A new membership."""

    instance_id = WholeField(min_value=1, max_value=MAX_ID)
    username = TextField(
        max_length=150, trim_whitespace=False, allow_blank=True, help_text="The name of an existing user."
    )


# --- oneself ----------------------------------------------------------------------------------------------------------
class OwnRoleSerializer(serializers.Serializer[Any]):
    """The role of the request's user in one instance."""

    instance_id = serializers.IntegerField()
    role = serializers.ChoiceField(Role.choices)


class MeSerializer(serializers.Serializer[Any]):
    """The user of the request, the user's roles in the instances that the request may see, and its token."""

    user_id = serializers.IntegerField()
    username = serializers.CharField()
    is_administrator = serializers.BooleanField(
        help_text="Whether the user has every role in every instance. An administrator needs no membership."
    )
    memberships = OwnRoleSerializer(many=True)
    token = TokenSerializer(allow_null=True, help_text="Null for a request with a session.")
