"""`manage.py api_token`: a new API token for a user, with a request that works."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import get_token_model


class Command(BaseCommand):
    """Creates the user if need be, issues a token that does not expire, and shows it once."""

    help = "Issue an API token for a user, creating the user if need be."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the user and the form of the output."""
        parser.add_argument("user", metavar="USER", help="the user's name; a new user cannot log in, only call the API")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Issue the token and print it."""
        user, created = _user(options["user"])
        _, token = get_token_model().objects.create(user, expiry=None)
        report = {"user": user.get_username(), "created": created, "token": token, "curl": _curl(token)}
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _text(report))


def _user(name: str) -> tuple[User, bool]:
    name = User.normalize_username(name)
    user = User.objects.filter(username=name).first()
    if user is None:
        return _new_user(name), True
    if not user.is_active:
        raise CommandError(f"user {name!r} is inactive: the API would refuse the token")
    return user, False


def _new_user(name: str) -> User:
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(f"not a user's name: {' '.join(error.messages)}") from None
    user.save()
    return user


def _curl(token: str) -> str:
    header = f"Authorization: {settings.REST_KNOX['AUTH_HEADER_PREFIX']} {token}"
    return f"curl -H '{header}' {settings.PUBLIC_URL}/api/v1/conversations/"


def _text(report: dict[str, Any]) -> str:
    done = "is new; its API token" if report["created"] else "has a new API token"
    return f"User {report['user']} {done}, shown this once:\n\n  {report['token']}\n\nTry it:\n\n{report['curl']}"
