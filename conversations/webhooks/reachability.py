"""Warns if Evolution servers or people cannot reach this site under PUBLIC_URL, as far as the settings show."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from django.http.request import validate_host
from django.utils.translation import gettext as _

from conversations.evolution.server_url import host_of, is_loopback, is_private


def warnings(public_url: str, server_url: str, *, is_global: bool) -> Iterator[str]:
    """Yield one sentence for each reason why webhooks may not arrive.

    Args:
        public_url: the address of this site that Evolution is told.
        server_url: the address of the Evolution server; "" if unknown.
        is_global: whether the server's global webhook is used.
    """
    site, server = host_of(public_url), host_of(server_url)
    names = {"url": public_url, "server": server, "host": site}
    if is_loopback(site) and server and not is_loopback(server):
        yield (
            _("%(server)s cannot reach %(url)s, which is the address of this machine for itself; set PUBLIC_URL")
            % names
        )
    elif is_loopback(site):
        text = _(
            "only an Evolution server on this machine, outside of containers, can reach %(url)s; for any other one set "
            "PUBLIC_URL"
        )
        yield text % names
    elif is_private(site) and server and not is_private(server):
        yield _("%(server)s may be unable to reach %(url)s, an address of a private network; set PUBLIC_URL") % names
    if is_global and not set(".:") & set(site):
        yield _("Evolution ignores a global webhook whose host has no dot, such as '%(host)s'; set PUBLIC_URL") % names


def host_warnings(public_url: str, allowed_hosts: Sequence[str]) -> Iterator[str]:
    """Yield a sentence if people are refused under PUBLIC_URL, while webhooks and health checks are answered."""
    host = urlsplit(public_url).hostname or ""
    if not validate_host(host, allowed_hosts):
        text = _(
            "add '%(host)s', the host of PUBLIC_URL, to ALLOWED_HOSTS; otherwise people cannot open the site there"
        )
        yield text % {"host": host}
