"""Message keys: chat, sender, and the pairs of addresses in a key."""

from typing import Any

import pytest

from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.facts import Correspondent, OwnIdentity, SamePerson
from conversations.evolution.keys import MessageKey, parse_key
from tests.conversations.evolution.envelopes import GROUP, LID, OWNER, PHONE, address, envelope

CONTACT, PERSON, GROUP_CHAT = address(PHONE), address(LID), address(GROUP)
PAIR, PROOF = SamePerson(CONTACT, PERSON, 5), Correspondent(PERSON)
LIST = "1772459000@broadcast"


def parse(jid: str, *, from_me: bool = False, **fields: Any) -> MessageKey:
    return parse_key({"id": "A1", "remoteJid": jid, "fromMe": from_me, **fields}, envelope(), 5)


@pytest.mark.parametrize("alias", ["remoteJidAlt", "senderPn", "previousRemoteJid"])
def test_a_direct_chat_is_known_by_its_phone_number_if_the_key_has_it(alias: str) -> None:
    fields: dict[str, Any] = {alias: PHONE}
    parsed = parse(LID, **fields)
    assert parsed.chat == parsed.sender
    assert (parsed.chat.jid, parsed.chat.lid, parsed.identities) == (PHONE, PERSON.key, (PAIR, PROOF))


def test_the_sender_of_an_outbound_message_is_not_an_alias_of_the_contact() -> None:
    parsed = parse(LID, from_me=True, senderPn=PHONE)
    assert (parsed.chat, parsed.sender, parsed.identities) == (PERSON, None, (PROOF,))


def test_the_instance_s_own_address_is_not_an_alias_of_a_contact_and_proves_nothing() -> None:
    parsed = parse(LID, remoteJidAlt=OWNER)
    assert (parsed.chat, parsed.identities) == (PERSON, ())


def test_a_lid_beside_the_number_of_an_outbound_message_is_uncertain() -> None:
    parsed = parse(PHONE, from_me=True, remoteJidAlt=LID)
    assert (parsed.chat, parsed.identities) == (CONTACT, (SamePerson(CONTACT, PERSON, 5, is_certain=False),))
    parsed = parse(PHONE, from_me=True, previousRemoteJid=LID)
    assert parsed.identities == (PAIR,)


def test_the_sender_of_a_group_message_is_the_participant() -> None:
    parsed = parse(GROUP, participant=LID, participantAlt=PHONE)
    assert parsed.sender is not None
    assert (parsed.chat, parsed.sender.jid, parsed.identities) == (GROUP_CHAT, PHONE, (PAIR, PROOF))


def test_the_participant_of_an_outbound_group_message_is_the_instance() -> None:
    parsed = parse(GROUP, from_me=True, participant="204857316940182:12@lid", participantAlt=OWNER)
    assert (parsed.sender, parsed.identities) == (None, (OwnIdentity(lid=PERSON),))


def test_a_broadcast_list_is_a_chat_for_outbound_messages_only() -> None:
    parsed = parse(LIST, participant=PHONE)
    assert (parsed.chat, parsed.sender) == (CONTACT, CONTACT)
    for outbound in (parse(LIST, from_me=True, participant=PHONE), parse(LIST, participant=OWNER), parse(LIST)):
        assert outbound.chat == address(LIST)


@pytest.mark.parametrize(
    "raw", [None, {"id": "", "remoteJid": PHONE}, {"id": "x" * 256, "remoteJid": PHONE}, {"id": "A"}]
)
def test_a_key_without_an_id_or_an_address_is_an_unknown_shape(raw: object) -> None:
    with pytest.raises(UnknownShapeError):
        parse_key(raw, envelope())
