"""`manage.py api_token`: issues an API token for a user, and prints an example request; or lists or revokes tokens."""

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from conversations.evolution.server_url import normalize_server_url, server_key
from conversations.management.commands.webhook_token import NO_SERVER
from conversations.models import ApiToken, Instance, Membership, Role, Scope

ALL = "all"


class Command(BaseCommand):
    """Creates the user if necessary, gives the user a role in instances, issues an API token and prints it."""

    help = noop("Issue an API token for a user, and create the user if necessary. Or list or revoke the user's tokens.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument("user", metavar="USER", help=_("user name; a new user can call the API but not log in"))
        parser.add_argument(
            "--instance",
            action="append",
            metavar="NAME",
            help=_(
                "give the user a role in this instance (repeatable); 'all' for all present instances, "
                "which is the default for a new user"
            ),
        )
        parser.add_argument(
            "--role", choices=Role.values, default=Role.AGENT.value, help=_("the role (default: agent)")
        )
        parser.add_argument("--name", default="", help=_("what the token is for"))
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help=_("limit the token (repeatable; default: all scopes)"),
        )
        parser.add_argument("--only", action="append", metavar="NAME", help=_("limit the token to this instance"))
        parser.add_argument(
            "--server",
            metavar="URL",
            help=_("URL of the Evolution server of these instances, or 'none'; required if a name exists on several"),
        )
        parser.add_argument("--days", type=int, metavar="N", help=_("let the token end after N days (default: never)"))
        parser.add_argument("--list", action="store_true", help=_("only list the user's tokens"))
        parser.add_argument("--revoke", metavar="HINT", help=_("only revoke the user's tokens that begin with HINT"))
        parser.add_argument("--json", action="store_true", help=_("print only one JSON object"))

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django passes positional arguments
        """Issue, list or revoke tokens."""
        if options["list"] or options["revoke"] is not None:
            tokens = list(ApiToken.objects.filter(user__username=options["user"]).order_by("pk"))
            if options["revoke"] is not None:
                tokens = _revoke(tokens, options["revoke"])
            self.stdout.write(_list(tokens, as_json=options["json"]))
            return
        with transaction.atomic():
            report = _issue(**options)
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _format(report))


def _issue(  # noqa: PLR0913 - the options of the command
    *,
    user: str,
    instance: Sequence[str] | None,
    role: str,
    name: str,
    scope: Sequence[str] | None,
    only: Sequence[str] | None,
    server: str | None,
    days: int | None,
    **_options: Any,
) -> dict[str, Any]:
    if days is not None and not 1 <= days <= 36_500:  # noqa: PLR2004 - a century
        raise CommandError(_("--days must be between 1 and 36500"))
    row, created = _get_or_create_user(user)
    names = instance or ([ALL] if created else [])
    if server is not None and not names and not only:
        raise CommandError(_("--server says where the instances of --instance or --only are; give one of these, too"))
    granted = _grant(row, _instances(names, server), role)
    _row, token = ApiToken.objects.issue(
        row,
        name=name,
        scopes=scope or tuple(Scope),
        instances=None if only is None else [instance.pk for instance in _instances(only, server)],
        expires_at=None if days is None else timezone.now() + dt.timedelta(days=days),
    )
    return {
        "user": row.get_username(),
        "created": created,
        "role": role if granted else "",
        "instances": granted,
        "sees_instances": row.is_superuser or Membership.objects.filter(user=row).exists(),
        "token": token,
        "curl": _curl(token),
    }


def _grant(user: User, rows: Iterable[Instance], role: str) -> list[str]:
    """Give the user a role in the instances; return the instances' names."""
    for row in rows:
        Membership.objects.update_or_create(user=user, instance=row, defaults={"role": role})
    return [row.name for row in rows]


def _instances(names: Collection[str], server: str | None) -> list[Instance]:
    """Return the instances with these names, of a server if one is given.

    Raises:
        CommandError: a name is of no instance or, without a server, of several; or the server is not a URL.
    """
    chosen = Instance.objects.order_by("name", "pk")
    rows = list(chosen if ALL in names else chosen.filter(name__in=names))
    if server is not None:
        key = _server_key(server)
        rows = [row for row in rows if server_key(row.server_url) == key]
    for name in sorted(set(names) - {ALL}):
        servers = [row.server_url or NO_SERVER for row in rows if row.name == name]
        if not servers:
            raise CommandError(_("no instance is named '%(name)s'") % {"name": name})
        if len(servers) > 1:
            text = _("several servers have an instance of this name; choose one with --server: %(names)s")
            raise CommandError(text % {"names": ", ".join(servers)})
    return rows


def _server_key(option: str) -> str:
    try:
        return "" if option == NO_SERVER else server_key(normalize_server_url(option))
    except ValueError as error:
        raise CommandError(f"--server {_(str(error))}") from None


def _get_or_create_user(name: str) -> tuple[User, bool]:
    name = User.normalize_username(name)
    user = User.objects.filter(username=name).first()
    if user is None:
        return _create_user(name), True
    if not user.is_active:
        raise CommandError(_("user '%(name)s' is inactive, so the API would reject the token") % {"name": name})
    return user, False


def _create_user(name: str) -> User:
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(_("invalid user name: %(reason)s") % {"reason": " ".join(error.messages)}) from None
    user.save()
    return user


def _revoke(tokens: Iterable[ApiToken], hint: str) -> list[ApiToken]:
    matching = [token for token in tokens if hint and token.hint.startswith(hint[: len(token.hint)])]
    if not matching:
        raise CommandError(
            _("the user has no token that begins with '%(hint)s'; --list shows the tokens") % {"hint": hint}
        )
    for token in matching:
        token.revoke()
    return matching


def _list(tokens: Iterable[ApiToken], *, as_json: bool) -> str:
    rows = [
        {
            "hint": token.hint,
            "name": token.name,
            "scopes": token.scopes,
            "instance_ids": token.instance_ids,
            "created_at": token.created_at.isoformat(),
            "expires_at": token.expires_at and token.expires_at.isoformat(),
            "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
        }
        for token in tokens
    ]
    if as_json:
        return json.dumps({"tokens": rows}, ensure_ascii=False)
    lines = [
        f"{row['hint']}…  {','.join(row['scopes'])}  {_('revoked') if row['revoked_at'] else _('valid')}"
        f"{'  ' + _('until') + ' ' + row['expires_at'] if row['expires_at'] else ''}  {row['name']}".rstrip()
        for row in rows
    ]
    return "\n".join(lines) or _("The user has no tokens.")


def _curl(token: str) -> str:
    return f"curl -H 'Authorization: Token {token}' {settings.PUBLIC_URL}/api/v1/conversations/"


def _format(report: dict[str, Any]) -> str:
    user = {"user": report["user"]}
    lines = [_("Created user %(user)s.") % user if report["created"] else _("User %(user)s already exists.") % user]
    if report["instances"]:
        values = {"role": report["role"], "names": ", ".join(report["instances"])}
        lines.append(_("The user has the role %(role)s in: %(names)s.") % values)
    elif not report["sees_instances"]:
        lines.append(_("The user sees no instance yet: run the command again with --instance NAME."))
    lines += [_("New API token, which cannot be shown again:"), "", f"  {report['token']}", ""]
    lines += [_("Try it:"), "", report["curl"]]
    return "\n".join(lines)
