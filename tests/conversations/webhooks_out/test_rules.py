"""The rules of outgoing webhooks: signatures, addresses, and when a delivery is tried again."""

import datetime as dt
import random
from ipaddress import ip_address

import pytest

from conversations.webhooks_out import retries, signature
from conversations.webhooks_out.addresses import AddressRefused, check_url, is_public
from conversations.webhooks_out.retries import DELAYS, JITTER, Outcome, after_failure

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


# --- signatures -------------------------------------------------------------------------------------------------------
def test_a_signature_is_that_of_the_specification() -> None:
    secret, identity = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"

    signed = signature.signature(secret, identity, 1614265330, b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_id_names_the_subscription_and_the_range() -> None:
    ids = {signature.message_id(*given) for given in ((1, "a", "b"), (2, "a", "b"), (1, "a", "c"), (1, "b", "c"))}

    assert len(ids) == 4
    assert signature.message_id(1, "a", "b") in ids


# --- addresses --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104 - only judged
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
        "192.0.2.1", "198.18.0.1", "240.0.0.1", "2001:db8::1",
        "::7f00:1", "::a00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "64:ff9b:1:fffe::a9fe:a9fe",
        "fec0::1", "4000::1", "192.0.0.1", "192.0.0.192", "168.63.129.16", "::ffff:192.0.0.192", "64:ff9b::a83f:8110",
        "2001:0:808:808::f7f7:f7f7", "2001:1::1", "2001:20::1", "2002:808:808::1", "192.88.99.1", "3fff::1",
    ],
)  # fmt: skip
def test_private_addresses_are_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "200.147.3.157", "2606:4700::1111", "2001:200::1", "192.0.1.1", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_public_addresses_are_not(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://example.com/", "file:///etc/passwd", "http://", "https:///x", "http://user:pw@example.com/",
        "http://example.com:99999/", "http://example.com/a b", "http://exämple.com/", "http://[::1", "http://a/#x", "http://example.com:0/",
        "http://example.com/\r\nX: y",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused, match="must be a URL"):
        check_url(url)


# --- retries ----------------------------------------------------------------------------------------------------------
FAILED = Outcome(500, "answered 500")


def test_attempts_become_rarer_and_end_after_a_day() -> None:
    now, failures, gaps = NOW, 0, list[float]()
    while True:
        failures += 1
        following = after_failure(FAILED, failures, NOW, now, random.Random(failures).uniform(-1, 1))
        if following.off_reason:
            break
        gaps.append((following.at - now).total_seconds())
        now = following.at

    assert dt.timedelta(days=1) <= now - NOW < dt.timedelta(days=1, seconds=DELAYS[-1] * (1 + JITTER))
    for gap, delay in zip(gaps, DELAYS, strict=False):
        assert abs(gap - delay) <= delay * JITTER
    assert 8 < len(gaps) < 30
    assert "answered 500" in following.off_reason


def test_a_receiver_that_is_gone_is_asked_no_more() -> None:
    assert "410" in after_failure(Outcome(retries.GONE, "answered 410"), 1, NOW, NOW, 0).off_reason


@pytest.mark.parametrize(("wanted", "given"), [(60, 60), (1, 5), (10**7, DELAYS[-1])])
def test_a_receiver_may_ask_for_more_time_within_bounds(wanted: float, given: float) -> None:
    following = after_failure(Outcome(503, "answered 503", wanted), 1, NOW, NOW, 0)

    assert following.at - NOW == dt.timedelta(seconds=given)
