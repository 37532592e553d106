"""Staff see rows of those models only that they may view, also where a page shows rows of another model.

Each visitor has a single one of Django's permissions, and a role in the number. Each text says of which model it is.
"""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from conversations.models import Alarm, Change, Conversation, Instance, Membership, Message, Participant, Role
from tests.conversations.admin.test_every_page import MODELS, OWN, House, a_house, inbox_pages, prefix
from tests.conversations.rows import a_contact

pytestmark = pytest.mark.django_db
MEMBER = f"{OWN}contact of a group"
ALARM = f"{OWN}alarm"
# The texts of each model; those of the instance are for everybody with a role.
TEXTS = {
    "contact": {"contact", "saved", "push"},
    "conversation": {"chat", "label"},
    "message": {"text", "sender", "d"},
    "webhookevent": {"reason", "text"},  # the text is in the body of the event
    "alarm": {"alarm"},
    "instance": {"label"},
    "change": set(),
    "ingestcounter": {"counter"},
}
FOR_ALL = {"shop", "profile", "log", "root"}  # the name of the number; the history of a row that the user may view


@pytest.fixture
def own() -> House:
    house = a_house(OWN)
    member = a_contact(house.rows[Instance], name=MEMBER)
    Participant.objects.create(conversation=house.rows[Conversation], contact=member, clock="1")
    Alarm.objects.update(name=ALARM, announced_at=house.message.timestamp)
    return house


def log_in(house: House, *models: str) -> Client:
    user = User.objects.create_user("ana", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{model}" for model in models]))
    Membership.objects.create(user=user, instance=house.rows[Instance], role=Role.MANAGER)
    client = Client()
    client.force_login(user)
    return client


def pages(house: House) -> list[str]:
    staff_models = [model for model, is_for_staff in MODELS.items() if is_for_staff]
    chat, contact = house.rows[Conversation].pk, house.rows[Conversation].contact_id
    return [
        *(reverse(f"{prefix(model)}_changelist") for model in (*staff_models, Change)),
        *(
            reverse(f"{prefix(model)}_{page}", args=[house.rows[model].pk])
            for model in staff_models
            for page in ("change", "history")
        ),
        reverse("admin:index"),
        reverse("admin:conversations_ingestcounter_changelist"),
        f"{reverse(f'{prefix(Conversation)}_changelist')}?contact={contact}",
        f"{reverse(f'{prefix(Message)}_changelist')}?conversation__id__exact={chat}",
        *(url for url, _ in inbox_pages(house, house, set())),
    ]


@pytest.mark.parametrize("model", TEXTS)
def test_pages_show_only_rows_that_the_user_may_view(own: House, model: str) -> None:
    client = log_in(own, model)
    permitted = {f"{OWN}{text}" for text in TEXTS[model] | FOR_ALL}
    for url in pages(own):
        shown = set(re.findall(rf"{OWN}[a-z]+", client.get(url).content.decode()))
        assert shown <= permitted, url


def test_pages_show_everything_to_users_who_may_view_all(own: House) -> None:
    client = log_in(own, *TEXTS)
    found = "".join(client.get(url).content.decode() for url in pages(own))
    expected = {f"{OWN}{text}" for texts in TEXTS.values() for text in texts} - {f"{OWN}counter"}
    assert {text for text in (*expected, MEMBER, ALARM) if text not in found} == set()
