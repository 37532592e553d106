"""What counts for a limit is the client's address, in whatever form a proxy writes it."""

import pytest
from django.conf import LazySettings
from django.test import RequestFactory

from conversations.api.client_address import client_network


@pytest.mark.parametrize(
    ("forwarded", "network"),
    [
        ("9.9.9.9, 1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("1.2.3.4:5679", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("unknown:80", "unknown:80"),
        ("x" * 99, "x" * 64),
        ("", "127.0.0.1"),
    ],
)
def test_a_client_has_one_network_whatever_its_port(settings: LazySettings, forwarded: str, network: str) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert client_network(request) == network
