"""`manage.py api_token`: issues an API token for a user, and prints an example request."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import get_token_model


class Command(BaseCommand):
    """Creates the user if necessary, issues an API token that does not expire, and prints the token."""

    help = "Issue an API token for a user, and create the user if necessary."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument("user", metavar="USER", help="user name; a new user can call the API but not log in")
        parser.add_argument("--json", action="store_true", help="print only one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django passes positional arguments
        """Issue an API token and print it with an example request."""
        user, created = _get_or_create_user(options["user"])
        _, token = get_token_model().objects.create(user, expiry=None)
        report = {"user": user.get_username(), "created": created, "token": token, "curl": _curl(token)}
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _format(report))


def _get_or_create_user(name: str) -> tuple[User, bool]:
    name = User.normalize_username(name)
    user = User.objects.filter(username=name).first()
    if user is None:
        return _create_user(name), True
    if not user.is_active:
        raise CommandError(f"user {name!r} is inactive, so the API would reject the token")
    return user, False


def _create_user(name: str) -> User:
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(f"invalid user name: {' '.join(error.messages)}") from None
    user.save()
    return user


def _curl(token: str) -> str:
    header = f"Authorization: {settings.REST_KNOX['AUTH_HEADER_PREFIX']} {token}"
    return f"curl -H '{header}' {settings.PUBLIC_URL}/api/v1/conversations/"


def _format(report: dict[str, Any]) -> str:
    title = f"Created user {report['user']}." if report["created"] else f"User {report['user']} already exists."
    return f"{title} New API token, which cannot be shown again:\n\n  {report['token']}\n\nTry it:\n\n{report['curl']}"
