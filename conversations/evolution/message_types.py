"""The table of all content keys: what each means, and where its text and its other stored fields are.

A content key is the member of a `message` object that holds the content, such as `imageMessage`. `PROTOCOL` has every
field of WhatsApp's `Message`, as published with Baileys 7.0.0-rc.9. `LATER` has fields that WhatsApp has added since,
and `CHANNELS` has the content keys that Evolution's Cloud API and EVOLUTION channels add.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from conversations.evolution.business import CHOICES, EVENT_INVITATION, ORDER, SCHEDULED_CALL, Reader, payment
from conversations.evolution.rich_responses import read_answer
from conversations.evolution.vcards import contact_name, contact_names


class MessageClass(StrEnum):
    """What a content key means for a chat; the values are the classes on the page docs/message-types.md."""

    TEXT = "text"  # words, and cards without a file: contacts, locations, polls, invitations
    MEDIA = "media"  # files
    BUSINESS = "business"  # messages of shops and bots, and the answers to these
    SIGNAL = "signal"  # between WhatsApp clients: changes another message or nothing, and is no message itself
    CALL = "call"  # a record of a call; the event `call` reports the call itself
    NOTICE = "notice"  # a line that WhatsApp writes about the chat; never unread
    WRAPPER = "wrapper"  # an object whose member `message` holds the content


@dataclass(frozen=True)
class MessageType:
    """Describes the content of one content key.

    Attributes:
        cls: what the content means for the chat.
        kind: the kind of the chat message, a value of `models.Message.Kind`; "" if there is no chat message. For a
            wrapper, the kind of content that old versions of WhatsApp put directly under the key.
        texts: paths to fields that may hold the text; the first path with a text is used. A path consists of names and
            dots. A list on the path stands for each of its items, and `*` stands for every text inside.
        details: names of fields that are stored in `details`; `ALL` stores every field.
        reader: derives further details from the content, in place of the fields that it reads.
        read_text: returns the text of the content, if no path can describe it; None if there is no text.
        answers: the name of the field with the key of the message that this one answers; "" if there is none.
    """

    cls: MessageClass
    kind: str = ""
    texts: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    reader: Reader | None = None
    read_text: Callable[[object], str | None] | None = None
    answers: str = ""


ALL = ("*",)


def _text(kind: str, *texts: str, details: tuple[str, ...] = ()) -> MessageType:
    return MessageType(MessageClass.TEXT, kind, texts, details)


def _media(kind: str, *texts: str, details: tuple[str, ...] = ()) -> MessageType:
    return MessageType(MessageClass.MEDIA, kind, texts, details)


def _business(
    kind: str, *texts: str, details: tuple[str, ...] = ALL, reader: Reader | None = None, answers: str = ""
) -> MessageType:
    return MessageType(MessageClass.BUSINESS, kind, texts, details, reader, answers=answers)


UNKNOWN = MessageType(MessageClass.TEXT, "unknown", ("*",))  # content that cannot be read, or that no table describes
SIGNAL = MessageType(MessageClass.SIGNAL)
CALL = MessageType(MessageClass.CALL)
WRAPPER = MessageType(MessageClass.WRAPPER)
NOTICE = MessageType(MessageClass.NOTICE, "notice", ("body", "text"), ALL)

_COORDINATES = ("degreesLatitude", "degreesLongitude", "accuracyInMeters", "speedInMps")
_POLL = _text(
    "poll",
    "name",
    details=(
        *("options", "selectableOptionsCount", "pollType", "correctAnswer"),
        *("endTime", "hideParticipantName", "allowAddOption"),  # later fields
    ),
)
_POLL_RESULT = _text("poll_result", "name", details=("pollVotes", "pollType"))
_CHANNEL_INVITE = _text(
    "channel_invite", "caption", "newsletterName", details=("newsletterJid", "newsletterName", "inviteExpiration")
)
_ANSWER = MessageType(MessageClass.TEXT, "text", ("text",), answers="key")
_CONTACT = MessageType(MessageClass.TEXT, "contact", details=("vcard",), read_text=contact_name)
_LIST = _business("list", "title", "description", "*", reader=CHOICES)
_PAYMENT_REMINDER = _business("payment", "description", "*", reader=payment("reminder"))
_BUTTONS = _business("buttons", "contentText", "description", "body", "text", "title", "*", reader=CHOICES)

PROTOCOL: dict[str, MessageType] = {
    "conversation": _text("text"),
    "extendedTextMessage": _text("text", "text", details=("matchedText", "title", "description")),
    "contactMessage": _CONTACT,
    "contactsArrayMessage": MessageType(MessageClass.TEXT, "contacts", details=("contacts",), read_text=contact_names),
    "locationMessage": _text(
        "location", "name", "address", "comment", details=(*_COORDINATES, "address", "url", "comment", "isLive")
    ),
    "liveLocationMessage": _text("live_location", "caption", details=(*_COORDINATES, "sequenceNumber", "timeOffset")),
    "pollCreationMessage": _POLL,
    "pollCreationMessageV2": _POLL,
    "pollCreationMessageV3": _POLL,
    "pollCreationMessageV5": _POLL,
    "pollResultSnapshotMessage": _POLL_RESULT,
    "pollResultSnapshotMessageV3": _POLL_RESULT,
    "groupInviteMessage": _text(
        "group_invite", "caption", "groupName", details=("groupJid", "groupName", "inviteCode", "inviteExpiration")
    ),
    "newsletterAdminInviteMessage": _CHANNEL_INVITE,
    "newsletterFollowerInviteMessageV2": _CHANNEL_INVITE,
    "richResponseMessage": MessageType(
        MessageClass.TEXT, "text", ("submessages.*",), ("submessages",), read_text=read_answer
    ),
    "statusQuestionAnswerMessage": _ANSWER,
    "questionResponseMessage": _ANSWER,
    "statusQuotedMessage": MessageType(MessageClass.TEXT, "text", ("text",), answers="originalStatusId"),
    "placeholderMessage": UNKNOWN,  # a message that WhatsApp shows on the phone only
    # Files.
    "imageMessage": _media("image", "caption"),
    "videoMessage": _media("video", "caption"),
    "ptvMessage": _media("video_note", "caption"),
    "audioMessage": _media("audio", "caption"),
    "documentMessage": _media("document", "caption"),
    "stickerMessage": _media("sticker"),
    "stickerPackMessage": _media("sticker_pack", "caption", "name", details=ALL),
    # Shops, bots, payments and events.
    "orderMessage": _business("order", "message", "text", "orderTitle", reader=ORDER, answers="orderRequestMessageId"),
    "productMessage": _business("product", "body", "product.title", "catalog.title"),
    "requestPaymentMessage": _business("payment", "noteMessage.*", reader=payment("request")),
    "sendPaymentMessage": _business("payment", "noteMessage.*", reader=payment("sent"), answers="requestMessageKey"),
    "declinePaymentRequestMessage": _business("payment", reader=payment("declined"), answers="key"),
    "cancelPaymentRequestMessage": _business("payment", reader=payment("canceled"), answers="key"),
    "paymentInviteMessage": _business("payment", reader=payment("invitation")),
    "invoiceMessage": _business("payment", "note", reader=payment("invoice")),
    "eventMessage": _business("event", "name", "description"),
    "scheduledCallCreationMessage": _business("event", "title", reader=SCHEDULED_CALL),
    "templateMessage": _business(
        "template",
        "hydratedTemplate.hydratedContentText",
        "hydratedFourRowTemplate.hydratedContentText",
        "interactiveMessageTemplate.body.text",
        "fourRowTemplate.content.hydratedHsm.*",
        "fourRowTemplate.content.params",
        "fourRowTemplate.content.localizableParams.default",
        "*",
        reader=CHOICES,
    ),
    "highlyStructuredMessage": _business(
        "template",
        "hydratedHsm.hydratedTemplate.hydratedContentText",
        "hydratedHsm.hydratedFourRowTemplate.hydratedContentText",
        "hydratedHsm.interactiveMessageTemplate.body.text",
        "hydratedHsm.*",
        "params",
        "localizableParams.default",
        reader=CHOICES,
    ),
    "interactiveMessage": _business(
        "interactive",
        "body.text",
        "header.title",
        "header.subtitle",
        "carouselMessage.cards.body.text",
        "carouselMessage.cards.header.title",
        "header.productMessage.product.title",
        "header.locationMessage.name",
        "footer.text",
        reader=CHOICES,
    ),
    "buttonsMessage": _BUTTONS,
    "listMessage": _LIST,
    "buttonsResponseMessage": _business("button_reply", "selectedDisplayText", details=("selectedButtonId",)),
    "listResponseMessage": _business(
        "list_reply", "title", "description", details=("description", "singleSelectReply")
    ),
    "templateButtonReplyMessage": _business(
        "template_reply", "selectedDisplayText", details=("selectedId", "selectedIndex", "selectedCarouselCardIndex")
    ),
    "interactiveResponseMessage": _business("interactive_reply", "body.text", details=("nativeFlowResponseMessage",)),
    # Lines that WhatsApp writes into the chat.
    "requestPhoneNumberMessage": NOTICE,
    # Calls.
    "call": CALL,
    "callLogMesssage": CALL,  # WhatsApp spells this name with three s
    "bcallMessage": MessageType(MessageClass.CALL, "call", ("caption",), ("mediaType",)),
    # Signals.
    "messageContextInfo": SIGNAL,
    "senderKeyDistributionMessage": SIGNAL,
    "fastRatchetKeySenderKeyDistributionMessage": SIGNAL,
    "protocolMessage": SIGNAL,
    "reactionMessage": SIGNAL,
    "encReactionMessage": SIGNAL,
    "pollUpdateMessage": SIGNAL,
    "keepInChatMessage": SIGNAL,
    "pinInChatMessage": SIGNAL,
    "secretEncryptedMessage": SIGNAL,
    "encCommentMessage": SIGNAL,
    "encEventResponseMessage": SIGNAL,
    "albumMessage": MessageType(MessageClass.SIGNAL, "album"),  # the frame of pictures that arrive as messages
    "scheduledCallEditMessage": SIGNAL,
    "stickerSyncRmrMessage": SIGNAL,
    "messageHistoryBundle": SIGNAL,
    "messageHistoryNotice": SIGNAL,
    "statusNotificationMessage": SIGNAL,
    "statusStickerInteractionMessage": SIGNAL,
    "chat": SIGNAL,
    # Wrappers.
    "deviceSentMessage": WRAPPER,
    "ephemeralMessage": WRAPPER,
    "viewOnceMessage": WRAPPER,
    "viewOnceMessageV2": WRAPPER,
    "viewOnceMessageV2Extension": WRAPPER,
    "documentWithCaptionMessage": WRAPPER,
    "editedMessage": WRAPPER,
    "groupMentionedMessage": WRAPPER,
    "botInvokeMessage": WRAPPER,
    "botTaskMessage": WRAPPER,
    "botForwardedMessage": WRAPPER,
    "lottieStickerMessage": WRAPPER,
    "eventCoverImage": WRAPPER,
    "statusMentionMessage": WRAPPER,
    "pollCreationOptionImageMessage": WRAPPER,
    "associatedChildMessage": WRAPPER,
    "groupStatusMentionMessage": WRAPPER,
    "pollCreationMessageV4": MessageType(MessageClass.WRAPPER, _POLL.kind, _POLL.texts, _POLL.details),
    "statusAddYours": WRAPPER,
    "groupStatusMessage": WRAPPER,
    "groupStatusMessageV2": WRAPPER,
    "limitSharingMessage": WRAPPER,
    "questionMessage": WRAPPER,
    "questionReplyMessage": WRAPPER,
    "commentMessage": WRAPPER,
}

LATER: dict[str, MessageType] = {
    "eventInviteMessage": _business("event", "eventTitle", "caption", reader=EVENT_INVITATION),
    "splitPaymentMessage": _business("payment", "description", reader=payment("split")),
    "paymentReminderMessage": _PAYMENT_REMINDER,
    "p2PPaymentReminderNotification": _PAYMENT_REMINDER,  # the first name of the same field
    "musicMessage": _text("text", "embeddedMusic.*", "*", details=("embeddedMusic", "songUri", "artworkUri")),
    "groupRootKeyShare": SIGNAL,
    "rootSecretDistributeMessage": SIGNAL,
    "splitPaymentUpdateMessage": SIGNAL,  # somebody has paid their share
    "statusLinkPreviewMetadata": SIGNAL,
    "pollAddOptionMessage": SIGNAL,
    "conditionalRevealMessage": SIGNAL,  # encrypted until its time comes
    "spoilerMessage": WRAPPER,
    "newsletterAdminProfileMessage": WRAPPER,
    "newsletterAdminProfileMessageV2": WRAPPER,
    "newsletterAdminProfileStatusMessage": WRAPPER,
    "newsletterScheduledMessage": WRAPPER,
    "botPlatformRegistrationSuccessMessage": WRAPPER,
    "botGroupParticipantMessage": WRAPPER,
    "acp2SettingMessage": WRAPPER,
    "audioStickerMessage": WRAPPER,
}

CHANNELS: dict[str, MessageType] = {
    "contact": _CONTACT,  # sent through the Cloud API
    "systemMessage": NOTICE,  # the Cloud API: a customer changed their number or identity
    "request_welcomeMessage": SIGNAL,  # the Cloud API: a customer opened the chat and has written nothing
    "buttonMessage": _BUTTONS,  # the EVOLUTION channel, without a content key of its own
}

TYPES = PROTOCOL | LATER | CHANNELS

# A field that makes unknown content an encrypted addition to a message, such as a reaction, a comment or an edit.
ENCRYPTED = "encPayload"

# Content keys of signals that accompany a message; the message's own content key beside them is the one that counts.
COMPANIONS = frozenset(
    {
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "groupRootKeyShare",
        "rootSecretDistributeMessage",
        "statusLinkPreviewMetadata",
    }
)

# Members of a `message` object that Evolution adds and that are not content keys.
METADATA_KEYS = frozenset({"base64", "mediaUrl", "speechToText", "contextInfo", "quoted"})

# `messageType` → kind, for chat messages that the Cloud API sends as plain text (`conversation`) or without content.
REPLY_KINDS = {"buttonMessage": "button_reply", "interactiveMessage": "interactive_reply"}
