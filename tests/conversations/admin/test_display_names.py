import pytest

from conversations.admin.display_names import (
    DisplayNames,
    contact_display_name,
    conversation_display_name,
    format_address,
    referenced_contacts,
    referenced_keys,
)
from conversations.models import Contact, Conversation, Message

ANA = Contact(pk=1, name="Ana", jid="5511999990001@s.whatsapp.net")
NAMELESS = Contact(pk=2, jid="5511999990002@s.whatsapp.net")
NAMES = DisplayNames({1: ANA, 2: NAMELESS}, {"phone:551199990001": 1, "lid:777": 1}, "5511940028922@s.whatsapp.net")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("5511999990001@s.whatsapp.net", "Ana"),
        ("551199990001:12@s.whatsapp.net", "Ana"),
        ("phone:551199990001", "Ana"),
        ("777@lid", "Ana"),
        ("me", "You"),
        ("551140028922@s.whatsapp.net", "+551140028922"),
        ("5511940028922@s.whatsapp.net", "You"),
        ("phone:5521", "+5521"),
        ("lid:12", "12"),
        ("", ""),
        ("not an address <b>", "not an address <b>"),
    ],
)
def test_an_address_is_displayed_as_the_name_or_the_number_of_its_contact(address: str, name: str) -> None:
    assert NAMES.for_address(address) == name


@pytest.mark.parametrize(
    ("sender_id", "sender_name", "name"),
    [(1, "Aninha", "Ana"), (2, "Zé", "Zé"), (2, "", "+5511999990002"), (None, "Zé", "Zé"), (None, "", "Unknown")],
)
def test_a_sender_has_the_current_name_or_the_name_in_the_message_or_the_number(
    sender_id: int | None, sender_name: str, name: str
) -> None:
    assert NAMES.for_sender(Message(sender_id=sender_id, sender_name=sender_name)) == name


def test_a_page_refers_to_quoted_senders_senders_and_those_who_reacted() -> None:
    reactions = {"7": {"emoji": "👍", "at": 1}, "me": {}, "9": {"emoji": "", "at": 2}}
    rows = [Message(quoted_sender="5511999990001@s.whatsapp.net", sender_id=8, reactions=reactions), Message()]
    assert referenced_keys(rows) == {"phone:551199990001"}
    assert referenced_contacts(rows) == {7, 8}


def test_a_contact_or_conversation_without_a_name_is_displayed_as_its_number() -> None:
    assert contact_display_name(ANA) == "Ana"
    assert contact_display_name(NAMELESS) == "+5511999990002"
    assert conversation_display_name(Conversation(name="Equipe", jid="1@g.us")) == "Equipe"
    assert conversation_display_name(Conversation(jid="5511999990002@s.whatsapp.net")) == "+5511999990002"
    assert format_address("777@lid") == "777"
