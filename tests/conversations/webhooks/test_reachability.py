"""A warning tells if Evolution cannot reach the site."""

import pytest

from conversations.webhooks.reachability import warnings

LOCAL, LAN, PUBLIC = "http://127.0.0.1:8000", "http://192.168.1.7:8000", "https://whatsai.example.com"


@pytest.mark.parametrize(
    ("site", "server", "warning"),
    [
        (LOCAL, "https://evo.example.com", "cannot reach"),
        ("http://localhost:8000", "http://192.168.1.9:8080", "cannot reach"),
        ("http://[::1]:8000", "http://evolution:8080", "cannot reach"),
        ("http://0.0.0.0:8000", "http://evolution:8080", "cannot reach"),
        (LOCAL, "http://localhost:8080", "outside of containers"),
        (LOCAL, "", "outside of containers"),
        (LAN, "https://evo.example.com", "may be unable to reach"),
        ("http://whatsai:8000", "https://evo.example.com", "may be unable to reach"),
        ("http://whatsai.local", "http://8.8.8.8:8080", "may be unable to reach"),
        (LAN, "http://192.168.1.9:8080", ""),
        (LAN, "http://evolution:8080", ""),
        (LAN, "", ""),
        (PUBLIC, "https://evo.example.com", ""),
        (PUBLIC, "http://localhost:8080", ""),
    ],
)
def test_a_site_out_of_reach_of_the_server_causes_one_warning(site: str, server: str, warning: str) -> None:
    found = list(warnings(site, server, is_global=False))
    assert len(found) == bool(warning)
    assert all(warning in text and site in text for text in found)


@pytest.mark.parametrize(("site", "is_ignored"), [("http://whatsai:8000", True), (LAN, False), (PUBLIC, False)])
def test_a_global_webhook_needs_a_host_with_a_dot(site: str, is_ignored: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert any("no dot" in text for text in warnings(site, "http://evo:8080", is_global=True)) == is_ignored
