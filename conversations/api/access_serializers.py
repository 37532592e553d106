"""Serializers of what a request may do: its user, memberships and tokens; and of the bodies that change them."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.query_params import UNKNOWN
from conversations.models import ApiToken, Membership, Role, Scope

MAX_DAYS = 36_500  # a century
MAX_SCOPES = 20  # a scope may be repeated
MAX_INSTANCES = 1000  # instances to which one token can be limited


class Body(serializers.Serializer[Any]):
    """A JSON object that a client sends; an unknown name in it is an error, as a misspelt limit must not be ignored."""

    @classmethod
    def parse(cls, data: Any) -> dict[str, Any]:
        """Return the values of the fields, with defaults for missing ones.

        Raises:
            ValidationError: a value is wrong; `detail` maps each wrong name to its error texts.
        """
        serializer = cls(data=data)
        names = data if isinstance(data, dict) else ()
        errors = {name: [UNKNOWN] for name in names if name not in serializer.fields}
        if not serializer.is_valid() or errors:
            raise serializers.ValidationError({**serializer.errors, **errors})
        return dict(serializer.validated_data)


class BodyExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Says in the OpenAPI schema that a body has no other names."""

    target_class = "conversations.api.access_serializers.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the schema of the body."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # noqa: SLF001 - documented so
        return {**schema, "additionalProperties": False}


class TextField(serializers.CharField):
    """A text in a body; a number is an error."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeField(serializers.IntegerField):
    """A whole number in a body; a text, a fraction and a flag are errors."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; in JSON, 12.0 is the same number as 12."""
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class BoundedListField(serializers.ListField):
    """A list in a body; a list that is too long is one error, whatever it contains."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the values."""
        limit = self.max_length
        if limit is not None and isinstance(data, list) and len(data) > limit:
            self.fail("max_length", max_length=limit)
        return super().to_internal_value(data)


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
    """What a new token permits."""

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
