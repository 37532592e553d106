"""The address of a client, as limits count it: behind a proxy, and for the networks of IPv6."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

IPV6_PREFIX = 64  # bits that all addresses of one client have in common
NEIGHBOURS = {4: 24, 6: 48}  # bits, by version, that the addresses of one customer of a provider often have in common
MAX_CHARS = 64  # of a text that is no address; no address is longer


def client_address(request: HttpRequest) -> str:
    """Return the client's IP address; behind a proxy, the one that the proxy has appended to `X-Forwarded-For`."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    return forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


def client_network(request: HttpRequest) -> str:
    """Return the client's IPv4 address, or its whole IPv6 network, because each client has a network."""
    return network_of(client_address(request))


def network_of(text: str) -> str:
    """Return an IPv4 address, or the network of an IPv6 address; another text, such as a name, as it is."""
    try:
        address = ipaddress.ip_address(_without_port(text))
    except ValueError:
        return text[:MAX_CHARS]
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), IPV6_PREFIX), strict=False))
    return str(address)


def neighbourhood(request: HttpRequest) -> str:
    """Return the network of the client and of its neighbours: many addresses that one person may have."""
    text = client_network(request)
    try:
        address = ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        return text
    return str(ipaddress.ip_network(f"{address}/{NEIGHBOURS[address.version]}", strict=False))


def _without_port(text: str) -> str:
    """Return an address without the client's port, which some proxies append and which each connection changes."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, _, port = text.partition(":")
    return host if port.isdecimal() else text
