"""Which addresses deliveries may be sent to: those of the public internet, unless `WEBHOOKS_ALLOW_PRIVATE` is set.

A subscription lets a user choose where this server connects to. So the networks behind the server must be out of reach:
other services of the host, and those that tell secrets to whoever asks from within, as clouds have. A name is resolved
for each connection, and the connection goes to the address that was checked, because a name can lead elsewhere a moment
later.
"""

import asyncio
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from conversations.webhooks_out import errors
from conversations.webhooks_out.name_lookups import TooManyLookupsError, lookups

PORTS = {"http": 80, "https": 443}
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# All that is assigned to the public internet. Outside are other forms of IPv4 addresses, and networks of one site.
GLOBAL_UNICAST = IPv6Network("2000::/3")
# Special networks that Python counts as public, some versions at least.
REFUSED = (
    ip_network("192.0.0.0/24"),  # RFC 6890; Oracle's cloud tells secrets there
    ip_network("168.63.129.16/32"),  # the host of a machine in Azure
    ip_network("2001::/23"),  # RFC 2928, with the tunnel Teredo, which leads to IPv4 addresses
    ip_network("2002::/16"),  # 6to4, which leads to IPv4 addresses
    ip_network("192.88.99.0/24"),  # RFC 7526, relays of 6to4
    ip_network("3fff::/20"),  # RFC 9637, documentation
)


class AddressRefused(Exception):
    """The address of a receiver is wrong, or is not one to which deliveries may be sent.

    Args:
        text: why, as the end of an English sentence that is marked for translation.
        host: the value of `%(host)s` in it.
    """

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(text % {"host": host})
        self._text, self._host = text, host

    @property
    def translated(self) -> str:
        """The reason in the language of the request."""
        return gettext(self._text) % {"host": self._host}


def check_url(url: str) -> SplitResult:
    """Return the parts of a receiver's URL.

    Raises:
        AddressRefused: the text is no HTTP URL of this kind; the error text says what it must be.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused(_("must be a URL such as https://example.com/webhook")) from None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or not is_plain:
        raise AddressRefused(_("must be a URL such as https://example.com/webhook"))
    if parts.username is not None or parts.fragment:
        raise AddressRefused(_("must be a URL without credentials and fragment"))
    return parts


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to the public internet."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in REFUSED)


def check_address(url: str) -> None:
    """Check a receiver's URL as far as it tells where it leads; a name is resolved for each delivery.

    Raises:
        AddressRefused: the URL is wrong, or its host is an IP address of a private network.
    """
    host = check_url(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return
    if not settings.WEBHOOKS_ALLOW_PRIVATE and not is_public(address):
        raise AddressRefused(errors.PRIVATE_ADDRESS, host)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host to which a delivery may be sent.

    Raises:
        AddressRefused: the name does not exist, or leads to a private network, even if only one of its addresses does.
    """
    try:
        found = await asyncio.wrap_future(lookups.start(host, port))
    except TooManyLookupsError:
        raise AddressRefused(errors.NOT_LOOKED_UP, host) from None
    except (OSError, UnicodeError):
        raise AddressRefused(errors.NO_ADDRESS, host) from None
    addresses = [address.partition("%")[0] for address in found]
    if not settings.WEBHOOKS_ALLOW_PRIVATE and not all(is_public(ip_address(address)) for address in addresses):
        raise AddressRefused(errors.PRIVATE_NAME, host)
    return addresses
