"""`manage.py webhook_token`: issues a webhook token for an instance, and prints the settings for Evolution."""

import argparse
import datetime as dt
import json
import shlex
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from conversations.evolution.server_url import normalize_server_url, server_key
from conversations.models import Instance
from conversations.webhooks import evolution_config, instances, reachability

NO_SERVER = "none"
# The settings of Evolution that `POST /settings/set` requires, with Evolution's defaults, but with the history.
HISTORY_SETTINGS = {
    "rejectCall": False,
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": True,
}


class Command(BaseCommand):
    """Creates an instance if necessary, issues a webhook token for the instance, and prints the token."""

    help = noop(
        "Issue a webhook token for an instance, create the instance if necessary, and print the settings for Evolution."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument("instance", metavar="INSTANCE", help=_("the instance's name in Evolution"))
        parser.add_argument(
            "--server",
            metavar="URL",
            help=_("URL of its Evolution server, or 'none'; required if the name exists on several servers"),
        )
        parser.add_argument(
            "--for-server",
            action=argparse.BooleanOptionalAction,
            help=_(
                "whether the token is valid for every instance of the server, for Evolution's global webhook; without"
                " this option, nothing changes"
            ),
        )
        parser.add_argument("--no-media", action="store_true", help=_("do not let webhooks contain media files"))
        parser.add_argument(
            "--revoke-old", action="store_true", help=_("revoke the old token now instead of in an hour")
        )
        parser.add_argument("--json", action="store_true", help=_("print only one JSON object"))

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django passes positional arguments
        """Issue a webhook token and print it with the settings for Evolution."""
        instance, created = _upsert_instance(options["instance"], options["server"], for_server=options["for_server"])
        token = Instance.objects.issue_token(instance.pk, revoke_old=options["revoke_old"])
        instance.refresh_from_db()
        report = _report(instance, token, created=created, media=not options["no_media"])
        for warning in report["warnings"]:
            self.stderr.write(f"{_('warning')}: {warning}")
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else "\n".join(_format(report)))


# --- the instance -----------------------------------------------------------------------------------------------------
def _upsert_instance(name: str, server: str | None, *, for_server: bool | None) -> tuple[Instance, bool]:
    if reason := instances.name_error(name):
        raise CommandError(_("The name %(reason)s.") % {"reason": _(reason)})
    fields = {} if for_server is None else {"is_global_webhook": for_server}
    return Instance.objects.upsert(name, _server_url(name, server), **fields)


def _server_url(name: str, option: str | None) -> str:
    """Return the server's URL as the instance has it, if there is one, or else in its normal form.

    Raises:
        CommandError: the option is not a URL, or is missing although several servers have an instance of this name.
    """
    stored = [instance.server_url for instance in Instance.objects.by_name(name)]
    if option is None:
        if len(stored) > 1:
            choices = ", ".join(server or NO_SERVER for server in stored)
            text = _("several servers have an instance of this name; choose one with --server: %(names)s")
            raise CommandError(text % {"names": choices})
        return stored[0] if stored else ""
    if option == NO_SERVER:
        return ""
    try:
        url = normalize_server_url(option)
    except ValueError as error:
        raise CommandError(f"--server {_(str(error))}") from None
    return next((server for server in stored if server_key(server) == server_key(url)), url)


# --- the report -------------------------------------------------------------------------------------------------------
def _report(instance: Instance, token: str, *, created: bool, media: bool) -> dict[str, Any]:
    name, server, until = instance.name, instance.server_url, instance.previous_token_until
    segment = evolution_config.quote_segment(name)
    is_global = instance.is_global_webhook and bool(server)
    body = evolution_config.instance_settings(name, token, media=media)
    return {
        "instance": name,
        "server": server,
        "created": created,
        "token": token,
        "old_token_until": until and until.isoformat(timespec="seconds"),
        "url": evolution_config.webhook_url(name),
        "path": (path := f"/webhook/set/{segment}"),
        "body": body,
        "curl": _curl(server, path, body),
        "create": evolution_config.new_instance_settings(name, token, media=media),
        "restart": _curl(server, f"/instance/restart/{segment}"),
        "history": _curl(server, f"/settings/set/{segment}", HISTORY_SETTINGS),
        "global": evolution_config.global_settings(name, token) if is_global else None,
        "warnings": list(_warnings(instance, created=created)),
    }


def _warnings(instance: Instance, *, created: bool) -> Iterator[str]:
    url, server = settings.PUBLIC_URL, instance.server_url
    if settings.ALLOWED_HOSTS or not settings.DEBUG:
        yield from reachability.host_warnings(url, settings.ALLOWED_HOSTS)
    yield from reachability.warnings(url, server, is_global=instance.is_global_webhook and bool(server))
    if instance.is_global_webhook and not server:
        yield _(
            "--for-server needs --server URL; without it, the token is valid for this instance only, because no other "
            "one is known to be on its server"
        )
    others = [other.server_url for other in Instance.objects.by_name(instance.name) if other.pk != instance.pk]
    if created and others:
        servers = ", ".join(other or NO_SERVER for other in others)
        text = _(
            "this is a second instance named '%(name)s'; to use the one that exists, pass --server with %(servers)s"
        )
        yield text % {"name": instance.name, "servers": servers}


def _curl(server: str, path: str, body: dict[str, Any] | None = None) -> str:
    url = shlex.quote(server + path) if server else f'"$EVOLUTION_URL"{shlex.quote(path)}'
    command = f'curl -X POST {url} -H "apikey: $EVOLUTION_API_KEY"'
    if body is None:
        return command
    return f"{command} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"


def _format(report: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report for a person."""
    server = report["server"]
    name = {"name": f"{report['instance']} ({server})" if server else report["instance"]}
    yield _("Created instance %(name)s.") % name if report["created"] else _("Instance %(name)s already exists.") % name
    yield from (_("New webhook token, which cannot be shown again:"), "", f"  {report['token']}")
    yield from ("", _("Evolution will post to %(url)s") % {"url": report["url"]})
    yield from ("", _("If the instance exists in Evolution, set its webhook:"), "", report["curl"])
    if report["body"]["webhook"]["base64"]:
        yield from ("", _("A connected number sends media only after its next connection, so restart it once:"), "")
        yield report["restart"]
    yield from ("", _("To import the history of a number, run this before you pair it."))
    yield _("WhatsApp sends the history only while a number is paired: log a paired one out, and pair it again.")
    yield from ("", report["history"])
    yield from ("", _("Or paste this as the body of POST %(url)s:") % {"url": f"{server}{report['path']}"}, "")
    yield json.dumps(report["body"], indent=2)
    yield from ("", _("If the instance is new in Evolution, this body creates it, and imports the history:"), "")
    yield from (f"POST {server}/instance/create", "", json.dumps(report["create"], indent=2))
    if report["global"]:
        yield from (
            "",
            _("Or configure all instances of the server with these environment variables of Evolution:"),
            "",
        )
        yield from (f"{name}={value}" for name, value in report["global"].items())
        yield from ("", _("A global webhook contains no media, unless Evolution stores them in S3."))
    if report["old_token_until"]:
        text = _("The old token is valid until %(time)s. --revoke-old revokes it now.")
        until = localtime(dt.datetime.fromisoformat(report["old_token_until"]))
        yield from ("", text % {"time": date_format(until, "SHORT_DATETIME_FORMAT")})
