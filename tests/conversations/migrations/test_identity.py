"""The migration keeps known names with their clocks, and stores reactions and votes by contact."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from conversations.models import Contact, ContactAddress, Message, StateClock
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db
migration = importlib.import_module("conversations.migrations.0010_identity")


def test_a_name_that_was_known_is_a_push_name_with_its_clock() -> None:
    instance = an_instance()
    contact = Contact.objects.create(instance=instance, jid="5521987654321@s.whatsapp.net", name="Ana")
    named = StateClock.objects.create(instance=instance, subject=f"contact:{contact.pk}", clocks={"name": "1:x"})
    group = StateClock.objects.create(instance=instance, subject="chat:7@g.us", clocks={"name": "1:y"})
    other = StateClock.objects.create(instance=instance, subject="contact:0", clocks={"presence": "1:z"})
    migration.keep_names(apps, SimpleNamespace(connection=connection))
    contact.refresh_from_db()
    assert (contact.name, contact.push_name, contact.saved_name) == ("Ana", "Ana", "")
    for row in (named, group, other):
        row.refresh_from_db()
    assert named.clocks == {"name": "1:x", "push_name": "1:x"}
    assert (group.clocks, other.clocks) == ({"name": "1:y"}, {"presence": "1:z"})


def test_two_reactions_of_one_contact_become_one_and_a_stranger_gets_a_contact() -> None:
    instance = an_instance()
    contact = Contact.objects.create(instance=instance, jid="5521987654321@s.whatsapp.net")
    for key, jid in (("phone:552187654321", contact.jid), ("lid:204", "204@lid")):
        ContactAddress.objects.create(instance=instance, contact=contact, key=key, jid=jid)
    reactions = {
        "phone:552187654321": {"emoji": "👍", "who": contact.jid, "at": 2},
        "lid:204": {"emoji": "❤", "who": "204@lid", "at": 1},
        "me": {"emoji": "🙏", "who": "me", "at": 1},
    }
    votes = {"lid:777": {"options": ["a"], "who": "777@lid", "at": 1}}
    row = a_message(a_chat(instance), reactions=reactions, poll_results=votes)
    migration.name_authors(apps, None)
    message, stranger = Message.objects.get(pk=row.pk), Contact.objects.get(jid="777@lid")
    assert message.reactions == {str(contact.pk): reactions["phone:552187654321"], "me": reactions["me"]}
    assert message.poll_results == {str(stranger.pk): votes["lid:777"]}
    assert (stranger.lid, stranger.addresses.get().key) == ("777", "lid:777")
