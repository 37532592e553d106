"""Types of the members of `Message.details`, by the kind of the message.

The content comes from senders, who may put any value in any member. The API moves a member whose value does not have
the type of the table to `other`, so that clients can rely on the types and lose nothing.
"""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from conversations.evolution.coerce import Json

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
TEXTS: Schema = {"type": "array", "items": TEXT}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
CHOICES: dict[str, Schema] = {"header": TEXT, "footer": TEXT, "buttons": OBJECTS, "sections": OBJECTS, "cards": OBJECTS}
INVITE = {"invite_expiration": INTEGER}
PLACE = {"degrees_latitude": NUMBER, "degrees_longitude": NUMBER, "accuracy_in_meters": NUMBER, "speed_in_mps": NUMBER}
POLL = {
    "options": OBJECTS,
    "selectable_options_count": INTEGER,
    "correct_answer": OBJECT,
    "end_time": INTEGER,
    "hide_participant_name": FLAG,
    "allow_add_option": FLAG,
}

# kind of message → member of `details` → type
BY_KIND: dict[str, dict[str, Schema]] = {
    "text": {
        "matched_text": TEXT,
        "title": TEXT,
        "description": TEXT,
        "submessages": OBJECTS,
        "embedded_music": OBJECT,
        "song_uri": TEXT,
        "artwork_uri": TEXT,
    },
    "contact": {"vcard": TEXT},
    "contacts": {"contacts": OBJECTS},
    "location": {**PLACE, "address": TEXT, "url": TEXT, "comment": TEXT, "is_live": FLAG},
    "live_location": {**PLACE, "sequence_number": INTEGER, "time_offset": INTEGER},
    "poll": POLL,
    "group_invite": {"group_jid": TEXT, "group_name": TEXT, "invite_code": TEXT, **INVITE},
    "channel_invite": {"newsletter_jid": TEXT, "newsletter_name": TEXT, **INVITE},
    "order": {
        "items": OBJECTS,
        "item_count": INTEGER,
        "total_amount_1000": INTEGER,
        "total_currency_code": TEXT,
        "order_title": TEXT,
    },
    "product": {"product": OBJECT},
    "payment": {"step": TEXT, "amount_1000": INTEGER, "currency_code": TEXT},
    "event": {"start_time": INTEGER, "end_time": INTEGER, "is_canceled": FLAG, "location": OBJECT, "join_link": TEXT},
    **dict.fromkeys(("template", "interactive", "buttons", "list"), CHOICES),
    "button_reply": {"selected_button_id": TEXT},
    "list_reply": {"description": TEXT, "single_select_reply": OBJECT},
    "template_reply": {"selected_id": TEXT, "selected_index": INTEGER, "selected_carousel_card_index": INTEGER},
    "interactive_reply": {"native_flow_response_message": OBJECT},
    "call": {"stage": TEXT, "is_video": FLAG},
}
# The same for messages of any kind.
ANY_KIND: dict[str, Schema] = {
    "view_once": FLAG,
    "is_forwarded": FLAG,
    "mentioned_jid": TEXTS,
    "mentions_all": FLAG,
    "external_ad_reply": OBJECT,
    "quoted_chat": TEXT,
    "album_id": TEXT,
    "edited": OBJECT,
    "is_truncated": FLAG,
}
TYPES = {**ANY_KIND, **{name: schema for members in BY_KIND.values() for name, schema in members.items()}}
OTHER = "other"
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def shown_details(details: Json) -> Json:
    """Return details for the API: members that do not have their type are moved to `other`."""
    odd = {name: value for name, value in details.items() if name in TYPES and not fits(value, TYPES[name])}
    if not odd and OTHER not in details:
        return details
    kept = {name: value for name, value in details.items() if name not in odd and name != OTHER}
    return {**kept, OTHER: {**({OTHER: details[OTHER]} if OTHER in details else {}), **odd}}


def fits(value: object, schema: Schema) -> bool:
    """Return whether a JSON value has the type of a schema of the table."""
    types = PYTHON_TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return False
    return not isinstance(value, list) or "items" not in schema or all(fits(one, schema["items"]) for one in value)


def details_schema() -> dict[str, Any]:
    """Return the OpenAPI schema of `details`. Each property says which kinds of messages have it."""
    properties = {}
    for name, schema in TYPES.items():
        kinds = "any kind" if name in ANY_KIND else "kind " + ", ".join(k for k in BY_KIND if name in BY_KIND[k])
        properties[name] = {**schema, "description": f"Of messages of {kinds}."}
    odd = {**OBJECT, "description": "Members whose value does not have the type that their name promises."}
    return {"type": "object", "additionalProperties": True, "properties": {**properties, OTHER: odd}}


@extend_schema_field(details_schema())
class DetailsField(serializers.Field[Any, Any, Any, Any]):
    """The details of a message."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> Json:
        """Return the details of a message row."""
        return shown_details(value.details)
