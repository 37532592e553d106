"""Followers end with what they were let in by: a token, a session, a user, or the rights of these."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.api.change_feed import ChangeFeed
from conversations.api.tickets import Purpose, Ticket, sign
from conversations.changes.following import FOLLOW, Credentials, Subscription
from conversations.models import ApiToken, Membership
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db(transaction=True)


class Visitor:
    """A user with a token and a session, who may read one instance."""

    def __init__(self) -> None:
        self.user = User.objects.create_user("bia", password="old")
        self.role = Membership.objects.create(user=self.user, instance=an_instance())
        self.token, _ = ApiToken.objects.issue(self.user)
        self.client = Client()
        self.client.force_login(self.user)
        readable = str(self.role.instance_id)
        self.by_token = Credentials(self.user.pk, self.token.pk, None, readable)
        self.by_session = Credentials(self.user.pk, None, self.client.session.session_key, readable)
        self.by_ticket = self.with_ticket()

    def with_ticket(self) -> Credentials:
        """Open a stream with the session's ticket and without its cookie."""
        followed: list[Subscription] = []
        ticket = self.client.get("/api/v1/event-ticket/").json()["ticket"]
        environ: dict[str, Any] = {FOLLOW: followed.append}
        assert Client().get("/api/v1/events/", {"ticket": ticket}, **environ).status_code == 200
        return followed[0].credentials

    @property
    def ended(self) -> set[str]:
        names = {self.by_token: "token", self.by_session: "session"}
        assert self.by_ticket == self.by_session
        return {names[one] for one in ChangeFeed().find_ended(list(names))}

    def change_password(self) -> None:
        self.user.set_password("new")
        self.user.save()

    def deactivate(self) -> None:
        self.user.is_active = False
        self.user.save()


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (lambda visitor: visitor.token.revoke(), {"token"}),
        (lambda visitor: visitor.client.logout(), {"session"}),
        (Visitor.change_password, {"session"}),
        (Visitor.deactivate, {"token", "session"}),
        (lambda visitor: visitor.role.delete(), {"token", "session"}),
        (lambda visitor: visitor.user.delete(), {"token", "session"}),
    ],
)
def test_followers_end_with_what_they_were_let_in_by(event: Callable[[Visitor], object], ended: set[str]) -> None:
    visitor = Visitor()
    assert visitor.ended == set()

    event(visitor)

    assert visitor.ended == ended


@pytest.mark.parametrize("end", [lambda visitor: visitor.client.logout(), Visitor.change_password])
def test_a_ticket_of_a_session_opens_nothing_after_its_session(end: Callable[[Visitor], object]) -> None:
    visitor = Visitor()
    ticket = visitor.client.get("/api/v1/event-ticket/").json()["ticket"]
    end(visitor)
    visitor.client.force_login(visitor.user)
    assert Client().get("/api/v1/events/", {"ticket": ticket}).status_code == 401


def test_a_ticket_that_names_neither_token_nor_session_opens_no_stream() -> None:
    visitor = Visitor()
    ticket = sign(Ticket(visitor.user.pk, None, None, 2**40), Purpose.EVENTS)
    assert Client().get("/api/v1/events/", {"ticket": ticket}).status_code == 401
