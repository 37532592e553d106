import pytest

from conversations.admin.display_names import DisplayNames, addresses, name_of, name_of_chat, number_of
from conversations.models import Contact, Conversation, Message

ANA = Contact(pk=1, name="Ana", jid="5511999990001@s.whatsapp.net")
NAMELESS = Contact(pk=2, jid="5511999990002@s.whatsapp.net")
PEOPLE = DisplayNames({1: ANA, 2: NAMELESS}, {"phone:551199990001": 1, "lid:777": 1}, "5511940028922@s.whatsapp.net")


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
def test_an_address_is_called_by_the_name_of_whoever_has_it(address: str, name: str) -> None:
    assert PEOPLE.named(address) == name


@pytest.mark.parametrize(
    ("sender", "then", "name"),
    [(1, "Aninha", "Ana"), (2, "Zé", "Zé"), (2, "", "+5511999990002"), (None, "Zé", "Zé"), (None, "", "Unknown")],
)
def test_a_sender_is_called_as_today_or_as_then_or_by_number(sender: int | None, then: str, name: str) -> None:
    assert PEOPLE.sender(Message(sender_id=sender, sender_name=then)) == name


def test_those_to_look_up_are_the_quoted_and_those_who_reacted() -> None:
    rows = [
        Message(quoted_sender="5511999990001@s.whatsapp.net", reactions={"phone:5521": {"emoji": "👍"}, "me": {}}),
        Message(),
    ]
    assert addresses(rows) == {"phone:551199990001", "phone:5521", "me"}


def test_who_has_no_name_is_called_by_number() -> None:
    assert name_of(ANA) == "Ana"
    assert name_of(NAMELESS) == "+5511999990002"
    assert name_of_chat(Conversation(name="Equipe", jid="1@g.us")) == "Equipe"
    assert name_of_chat(Conversation(jid="5511999990002@s.whatsapp.net")) == "+5511999990002"
    assert number_of("777@lid") == "777"
