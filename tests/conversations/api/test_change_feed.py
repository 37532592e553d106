"""Followers end with what they were let in by: a token, a session, a user, or the rights of these."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.api.change_feed import ChangeFeed
from conversations.changes.following import Credentials
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

    @property
    def ended(self) -> set[str]:
        names = {self.by_token: "token", self.by_session: "session"}
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
