"""`manage.py webhook_token`: issues a webhook token for an instance, and prints the settings for Evolution."""

import json
import shlex
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.http.request import validate_host

from conversations.models import Instance
from conversations.webhooks import evolution_config, instances

NO_SERVER = "none"


class Command(BaseCommand):
    """Creates an instance if necessary, issues a webhook token for the instance, and prints the token."""

    help = (
        "Issue a webhook token for an instance, create the instance if necessary, and print the settings for Evolution."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command-line arguments."""
        parser.add_argument("instance", metavar="INSTANCE", help="the instance's name in Evolution")
        parser.add_argument(
            "--server",
            metavar="URL",
            help=f"URL of its Evolution server, or {NO_SERVER!r}; required if the name exists on several servers",
        )
        parser.add_argument(
            "--for-server",
            action="store_true",
            help="make the token valid for every instance of the server, for Evolution's global webhook",
        )
        parser.add_argument("--revoke-old", action="store_true", help="revoke the old token now instead of in an hour")
        parser.add_argument("--json", action="store_true", help="print only one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django passes positional arguments
        """Issue a webhook token and print it with the settings for Evolution."""
        _check_allowed_hosts(self)
        instance, created = _upsert_instance(options["instance"], options["server"], for_server=options["for_server"])
        token = Instance.objects.issue_token(instance.pk, revoke_old=options["revoke_old"])
        instance.refresh_from_db()
        report = _report(instance, token, created=created)
        self.stdout.write(json.dumps(report, ensure_ascii=False) if options["json"] else _format(report))


def _check_allowed_hosts(command: Command) -> None:
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if settings.ALLOWED_HOSTS and not validate_host(host, settings.ALLOWED_HOSTS):
        # Django answers 400 if the host is not in ALLOWED_HOSTS, and Evolution does not retry an event after a 400.
        command.stderr.write(
            f"warning: add {host!r}, the host of PUBLIC_URL, to ALLOWED_HOSTS; otherwise webhooks are lost"
        )


def _upsert_instance(name: str, server: str | None, *, for_server: bool) -> tuple[Instance, bool]:
    if reason := instances.name_error(name):
        raise CommandError(f"the instance's name {reason}")
    fields = {"is_global_webhook": True} if for_server else {}
    return Instance.objects.upsert(name, _server_url(name, server), **fields)


def _server_url(name: str, option: str | None) -> str:
    if option is None:
        return _only_server(name)
    if option == NO_SERVER:
        return ""
    try:
        return instances.normalize_server_url(option)
    except ValueError as error:
        raise CommandError(f"--server {error}") from None


def _only_server(name: str) -> str:
    servers = [instance.server_url for instance in Instance.objects.by_name(name)]
    if len(servers) > 1:
        choices = ", ".join(server or NO_SERVER for server in servers)
        raise CommandError(f"several servers have an instance of this name; choose one with --server: {choices}")
    return servers[0] if servers else ""


def _report(instance: Instance, token: str, *, created: bool) -> dict[str, Any]:
    until = instance.previous_token_until
    body = evolution_config.instance_settings(instance.name, token)
    return {
        "instance": instance.name,
        "server": instance.server_url,
        "created": created,
        "token": token,
        "old_token_until": until and until.isoformat(timespec="seconds"),
        "url": evolution_config.webhook_url(instance.name),
        "path": (path := f"/webhook/set/{evolution_config.quote_segment(instance.name)}"),
        "body": body,
        "curl": _curl(instance.server_url, path, body),
        "global": evolution_config.global_settings(instance.name, token) if instance.is_global_webhook else None,
    }


def _curl(server: str, path: str, body: dict[str, Any]) -> str:
    url = shlex.quote(server + path) if server else f'"$EVOLUTION_URL"{shlex.quote(path)}'
    return (
        f'curl -X POST {url} -H "apikey: $EVOLUTION_API_KEY" '
        f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
    )


def _format(report: dict[str, Any]) -> str:
    server = f" of {report['server']}" if report["server"] else ""
    name = f"{report['instance']}{server}"
    title = f"Created instance {name}." if report["created"] else f"Instance {name} already exists."
    lines = [
        f"{title} New webhook token, which cannot be shown again:",
        "",
        f"  {report['token']}",
        "",
        f"Body of POST {report['server']}{report['path']}:",
        "",
        json.dumps(report["body"], indent=2),
        "",
        "The same with curl:",
        "",
        report["curl"],
    ]
    if report["global"]:
        lines += ["", "Or configure all instances of the server with these environment variables of Evolution:", ""]
        lines += [f"{name}={value}" for name, value in report["global"].items()]
    if report["old_token_until"]:
        lines += ["", f"The old token is valid until {report['old_token_until']}. Use --revoke-old to revoke it now."]
    return "\n".join(lines)
