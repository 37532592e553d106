"""The bodies of requests that change many conversations, and of their responses."""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.api.bodies import Body, BoundedListField, SwitchField, WholeField
from conversations.api.query_params import MAX_IDS
from conversations.api.row_bodies import LabelField
from conversations.models import Conversation
from conversations.models.bulk_changes import MAX_ROWS
from conversations.models.conversation_changes import ACTIONS, LABEL_ARGUMENT

CURSOR = r"^[0-9]{1,19}-[0-9]{1,19}$"


def _ids(help_text: str) -> BoundedListField:
    return BoundedListField(
        child=WholeField(min_value=1, max_value=MAX_ID),
        min_length=1,
        max_length=MAX_IDS,
        allow_null=True,
        default=None,
        help_text=help_text,
    )


def _flag(help_text: str, *, default: bool | None = None) -> SwitchField:
    return SwitchField(allow_null=True, default=default, help_text=help_text)


def _time(help_text: str) -> serializers.DateTimeField:
    return serializers.DateTimeField(allow_null=True, default=None, help_text=help_text)


class FilterBody(Body):
    """Which conversations are changed: the filters of the list of conversations; null stands for no filter."""

    instance = _ids("Those of the instances with these ids.")
    ids = _ids("Those with these ids.")
    contact = _ids("The direct conversations with the contacts that have these ids.")
    label = LabelField(  # type: ignore[assignment]  # DRF removes fields from the class
        allow_null=True, default=None, help_text="Those with the label that has this id."
    )
    archived = _flag("Whether they are archived.")
    pinned = _flag("Whether they are pinned.")
    unread = _flag("Whether they are unread, or marked as unread.")
    muted = _flag("Whether they are muted now.")
    deleted = _flag("Whether they were deleted on the phone; by default, such rows are left out.", default=False)
    kind = serializers.ChoiceField(Conversation.Kind.choices, allow_null=True, default=None, help_text="The kind.")
    active_after = _time("Those whose last message is from this time on.")
    active_before = _time("Those whose last message is from before this time.")


class BulkBody(Body):
    """What all changes of many conversations have."""

    filter = FilterBody()
    cursor = serializers.RegexField(CURSOR, required=False, help_text="The `cursor` of the answer before.")
    limit = WholeField(
        min_value=1, max_value=MAX_ROWS, default=MAX_ROWS, help_text="How many conversations are changed at most."
    )


def _action(argument: str) -> serializers.ChoiceField:
    names = [name for name, action in ACTIONS.items() if action.argument == argument]
    return serializers.ChoiceField([(name, ACTIONS[name].title) for name in names])


class SimpleBulkBody(BulkBody):
    """A change that needs nothing else."""

    action = _action("")


class MuteBulkBody(BulkBody):
    """Mute conversations until a time."""

    action = _action("muted_until")
    muted_until = serializers.DateTimeField()


class LabelBulkBody(BulkBody):
    """Attach or detach a label."""

    action = _action(LABEL_ARGUMENT)
    label = LabelField(help_text="The id of the label.")  # type: ignore[assignment]  # DRF removes fields from the class


# The name of the argument of an action → the content of the request.
BODIES: dict[str, type[BulkBody]] = {"": SimpleBulkBody, "muted_until": MuteBulkBody, LABEL_ARGUMENT: LabelBulkBody}
BULK_BODY = PolymorphicProxySerializer(
    component_name="ConversationBulkBody", serializers=list(BODIES.values()), resource_type_field_name=None
)


def parse_bulk_body(data: Any) -> dict[str, Any]:
    """Return the values in the content of a request, with defaults for missing ones.

    Raises:
        ValidationError: a value is wrong; `detail` maps each wrong name to its error texts.
    """
    name = data.get("action") if isinstance(data, dict) else None
    action = ACTIONS.get(name) if isinstance(name, str) else None
    return BODIES[action.argument if action else ""].parse(data)


class PortionSerializer(serializers.Serializer[Any]):
    """What was done with the conversations of one portion, by id."""

    changed = serializers.ListField(child=serializers.IntegerField())
    unchanged = serializers.ListField(child=serializers.IntegerField(), help_text="They were so before.")
    refused = serializers.ListField(
        child=serializers.IntegerField(), help_text="Their instance does not have the label that is to be attached."
    )
    not_found = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Those of `filter.ids` that were not found.",
    )
    cursor = serializers.CharField(allow_null=True, help_text="For the next portion; null after the last one.")
