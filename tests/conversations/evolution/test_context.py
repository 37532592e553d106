"""The context of a message: where the quoted message is, whom it mentions, and which album it is part of."""

from typing import Any

import pytest

from conversations.evolution.content import parse_content
from conversations.evolution.context import MessageContext, parse_context
from tests.conversations.evolution.envelopes import GROUP, LID, OWNER, PHONE, address


def context_of(context: dict[str, Any], chat: str = PHONE, message: dict[str, Any] | None = None) -> MessageContext:
    record = {"message": message or {"conversation": "oi"}, "contextInfo": context}
    return parse_context(record, parse_content(record["message"]), address(chat))


@pytest.mark.parametrize(
    ("quoted_in", "chat", "expected"),
    [
        ("status@broadcast", PHONE, "status@broadcast"),
        (GROUP, PHONE, GROUP),
        (GROUP, GROUP, ""),
        (PHONE, PHONE, ""),
        (LID, PHONE, ""),
        (OWNER, PHONE, ""),
        (PHONE, GROUP, PHONE),
        (None, PHONE, ""),
        (7, PHONE, ""),
    ],
)
def test_a_reply_says_in_which_other_chat_the_quoted_message_is(quoted_in: Any, chat: str, expected: str) -> None:
    details = context_of({"stanzaId": "Q", "remoteJid": quoted_in}, chat).details
    assert details == ({"quoted_chat": expected} if expected else {})


@pytest.mark.parametrize(("mentions", "expected"), [(1, True), ({"low": 1, "high": 0}, True), (0, None), ("x", None)])
def test_a_mention_of_everybody_is_kept(mentions: Any, expected: object) -> None:
    assert context_of({"nonJidMentions": mentions}, GROUP).details.get("mentions_all") is expected


@pytest.mark.parametrize("association", [1, "MEDIA_ALBUM"])
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_picture_of_an_album_has_the_album_id(association: object, is_wrapped: bool) -> None:  # noqa: FBT001 - a parameter of the test
    info = {"messageAssociation": {"associationType": association, "parentMessageKey": {"id": "ALBUM"}}}
    message: dict[str, Any] = {"imageMessage": {}, "messageContextInfo": info}
    message = {"associatedChildMessage": {"message": message}} if is_wrapped else message
    assert context_of({}, message=message).details == {"album_id": "ALBUM"}


def belonging(association: object, content: dict[str, Any]) -> MessageContext:
    info = {"messageAssociation": {"associationType": association, "parentMessageKey": {"id": "SD"}}}
    return context_of({}, message={"associatedChildMessage": {"message": content}, "messageContextInfo": info})


@pytest.mark.parametrize("association", [3, 5, 7, 10, 12, 19, "HD_IMAGE_DUAL_UPLOAD"])
def test_a_file_that_completes_another_message_is_a_supplement(association: object) -> None:
    context = belonging(association, {"imageMessage": {}})
    assert context.details == {"parent": {"key_id": "SD", "association": association}}
    assert context.is_supplement


@pytest.mark.parametrize("association", [0, 1, 2, 8, 99, "MEDIA_ALBUM", None, True, [10]])
def test_other_messages_that_belong_to_a_message_are_no_supplements(association: object) -> None:
    assert not belonging(association, {"imageMessage": {}}).is_supplement
    assert not belonging(10, {"conversation": "oi"}).is_supplement


@pytest.mark.parametrize(
    ("association", "stored"), [("x" * 70_000, "x" * 64), (10**400, 0), ({"low": 2, "high": 0}, 2)]
)
def test_how_a_message_belongs_to_another_is_bounded(association: object, stored: object) -> None:
    parent = belonging(association, {"imageMessage": {}}).details["parent"]
    assert parent == {"key_id": "SD", "association": stored}


def test_a_comment_quotes_the_message_that_it_is_about() -> None:
    message = {"commentMessage": {"message": {"conversation": "oi"}, "targetMessageKey": {"id": "POST"}}}
    assert context_of({}, message=message).quoted_key_id == "POST"


@pytest.mark.parametrize(
    "message",
    [
        {"statusQuotedMessage": {"text": "azul", "originalStatusId": {"id": "Q", "remoteJid": "status@broadcast"}}},
        {"statusQuestionAnswerMessage": {"text": "azul", "key": {"id": "Q", "remoteJid": "status@broadcast"}}},
    ],
)
def test_an_answer_to_a_status_quotes_the_status(message: dict[str, Any]) -> None:
    context = context_of({}, message=message)
    assert (context.quoted_key_id, context.details) == ("Q", {"quoted_chat": "status@broadcast"})


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("questionResponseMessage", "key"),
        ("sendPaymentMessage", "requestMessageKey"),
        ("declinePaymentRequestMessage", "key"),
        ("cancelPaymentRequestMessage", "key"),
        ("orderMessage", "orderRequestMessageId"),
    ],
)
def test_an_answer_quotes_what_it_answers(key: str, field: str) -> None:
    message = {key: {field: {"id": "Q", "remoteJid": OWNER, "participant": LID}}}
    context = context_of({}, message={"ephemeralMessage": {"message": message}})
    assert (context.quoted_key_id, context.quoted_sender, context.details) == ("Q", LID, {})
    assert field not in parse_content(message).details


@pytest.mark.parametrize(
    ("quoted", "text"),
    [
        ({"quotedQuestion": {"conversation": "O que acham?"}}, "O que acham?"),
        ({"quotedQuestion": {"conversation": "?"}, "quotedResponse": {"conversation": "Acho bom"}}, "Acho bom"),
        ({"quotedQuestion": 5}, ""),
        ("x", ""),
    ],
)
def test_a_reply_to_an_answer_quotes_the_answer(quoted: object, text: str) -> None:
    assert context_of({"questionReplyQuotedMessage": quoted}).quoted_text == text


def test_the_bytes_of_an_advertisement_are_left_out() -> None:
    advert = {"title": "Vestidos", "thumbnail": {"0": 255, "1": 216}, "mediaType": 1, "clicks": {"low": 3, "high": 0}}
    details = context_of({"externalAdReply": advert, "ctwaPayload": {"0": 1}, "ctwaClid": "ad"}).details
    assert details == {"external_ad_reply": {"title": "Vestidos", "media_type": 1, "clicks": 3}, "ctwa_clid": "ad"}


@pytest.mark.parametrize("context", [{"stanzaId": 5, "participant": 7, "quotedMessage": "x", "mentionedJid": "x"}])
def test_malformed_context_is_ignored(context: dict[str, Any]) -> None:
    assert context_of(context).quoted_key_id == ""
