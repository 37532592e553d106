"""After too many failed logins, an address and an account wait; each failed login is logged."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from conversations.api.client_address import client_address
from tests.waiting import StoppedClock
from whatsai import login_throttle
from whatsai.known_browsers import COOKIE
from whatsai.login_throttle import (
    ACCOUNT_LIMIT,
    ADDRESS_LIMIT,
    BROWSER_LIMIT,
    MAX_KEYS,
    SESSION_LIMIT,
    WINDOW,
    FailedLogins,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppedClock]:
    clock = StoppedClock()
    monkeypatch.setattr(login_throttle, "monotonic", clock)
    login_throttle.failed_logins.reset()
    yield clock
    login_throttle.failed_logins.reset()


@pytest.fixture
def admin(db: None) -> User:  # noqa: ARG001 - the fixture "db" enables database access
    return User.objects.create_superuser("admin", password="right")


def log_in(password: str, name: str = "admin", address: str = "192.0.2.1") -> Any:
    return Client(REMOTE_ADDR=address).post("/admin/login/", {"username": name, "password": password})


def test_an_address_with_many_failed_logins_waits(admin: User, clock: StoppedClock) -> None:
    for number in range(ADDRESS_LIMIT):
        assert log_in("wrong", f"user {number}").status_code == 200
    answer = log_in("right", admin.username)
    assert (answer.status_code, int(answer["Retry-After"])) == (429, WINDOW)
    assert "Try again in 15 minutes." in answer.content.decode()
    assert log_in("right", admin.username, address="192.0.2.2").status_code == 302
    clock.now += WINDOW
    assert log_in("right", admin.username).status_code == 302


def test_an_account_with_many_failed_logins_waits(admin: User, clock: StoppedClock) -> None:
    for number in range(ACCOUNT_LIMIT):
        assert log_in("wrong", admin.username, address=f"198.51.100.{number}").status_code == 200
    assert log_in("right", admin.username).status_code == 429
    assert log_in("wrong", "somebody else").status_code == 200
    clock.now += WINDOW
    assert log_in("right", admin.username).status_code == 302


def test_failures_of_others_keep_nobody_out_of_a_browser_that_is_known(admin: User) -> None:
    browser = Client(REMOTE_ADDR="192.0.2.1")
    right, wrong = ({"username": admin.username, "password": password} for password in ("right", "wrong"))
    assert browser.post("/admin/login/", right).status_code == 302
    for number in range(ACCOUNT_LIMIT):
        log_in("wrong", admin.username, address=f"198.51.100.{number}")
    for _ in range(ADDRESS_LIMIT):
        log_in("wrong", "somebody else")
    assert log_in("right", admin.username).status_code == 429
    assert browser.post("/admin/login/", {**right, "username": " admin "}).status_code == 302
    for _ in range(BROWSER_LIMIT):
        assert browser.post("/admin/login/", wrong).status_code == 200
    assert browser.post("/admin/login/", right).status_code == 429


def test_whoever_has_a_session_cannot_guess_the_password_by_changing_it(admin: User) -> None:
    stolen, own = Client(), Client()
    right = {"old_password": "right", "new_password1": "a new Password 7", "new_password2": "a new Password 7"}
    for client in (stolen, own):
        client.force_login(admin)
    for number in range(SESSION_LIMIT):
        assert stolen.post("/admin/password_change/", {**right, "old_password": str(number)}).status_code == 200
    answer = stolen.post("/admin/password_change/", right)
    assert (answer.status_code, int(answer["Retry-After"])) == (429, WINDOW)
    assert stolen.get("/admin/password_change/").status_code == 200
    assert log_in("right", admin.username).status_code == 302
    assert own.post("/admin/password_change/", right).status_code == 302
    assert log_in(right["new_password1"], admin.username).status_code == 302


@pytest.mark.parametrize("change", ["", "x", "other"])
def test_a_cookie_of_another_account_or_of_nobody_helps_nothing(admin: User, change: str) -> None:
    User.objects.create_superuser("other", password="right")
    browser = Client(REMOTE_ADDR="192.0.2.1")
    browser.post("/admin/login/", {"username": change or admin.username, "password": "right"})
    browser.cookies[COOKIE] = browser.cookies[COOKIE].value + "x" if COOKIE in browser.cookies else "x"
    if change == "other":
        browser.post("/admin/login/", {"username": change, "password": "right"})
    for number in range(ACCOUNT_LIMIT):
        log_in("wrong", admin.username, address=f"198.51.100.{number}")
    assert browser.post("/admin/login/", {"username": admin.username, "password": "right"}).status_code == 429


def test_a_known_browser_is_known_to_the_form_that_changes_the_password(admin: User) -> None:
    browser = Client(REMOTE_ADDR="192.0.2.1")
    browser.post("/admin/login/", {"username": admin.username, "password": "right"})
    path = browser.cookies[COOKIE]["path"]
    assert all(reverse(f"admin:{name}").startswith(path) for name in ("login", "password_change"))


@pytest.mark.parametrize("name", [" admin", "admin\t", "\uff41dmin"])
def test_an_account_has_one_count_for_all_forms_of_its_name(admin: User, name: str) -> None:
    for number in range(ACCOUNT_LIMIT):
        assert log_in("wrong", name, address=f"198.51.100.{number}").status_code == 200
    for other in (name, admin.username, f" {admin.username} "):
        assert log_in("right", other).status_code == 429


def test_an_ipv6_network_has_one_count(admin: User) -> None:
    for number in range(ADDRESS_LIMIT):
        assert log_in("wrong", f"user {number}", address=f"2001:db8:1:2:{number}::1").status_code == 200
    assert log_in("right", admin.username, address="2001:db8:1:2:ffff::").status_code == 429
    assert log_in("right", admin.username, address="2001:db8:1:3::1").status_code == 302


def test_ipv4_addresses_have_counts_of_their_own_in_every_form(admin: User) -> None:
    for number in range(ADDRESS_LIMIT):
        assert log_in("wrong", f"user {number}", address="::ffff:192.0.2.1").status_code == 200
    assert log_in("right", admin.username, address="::ffff:192.0.2.1").status_code == 429
    assert log_in("right", admin.username, address="::ffff:192.0.2.2").status_code == 302


def test_a_user_who_logs_in_is_not_limited(admin: User) -> None:
    for _ in range(2 * ACCOUNT_LIMIT):
        assert log_in("right", admin.username).status_code == 302


def test_each_failed_login_is_logged_without_what_was_typed(admin: User, caplog: pytest.LogCaptureFixture) -> None:
    log_in("hunter2", "hunter3")
    (record,) = [record for record in caplog.records if record.getMessage() == "Login FAILED"]
    assert (record.levelno, record.address) == (logging.WARNING, "192.0.2.1")  # type: ignore[attr-defined]
    assert "hunter" not in str(vars(record))
    assert admin.pk


def test_the_number_of_remembered_keys_is_limited() -> None:
    failures = FailedLogins()
    for number in range(MAX_KEYS + 10):
        failures.add(("account", str(number)))
    assert failures.seconds_to_wait(("account", "0"), limit=1) == 0
    assert failures.seconds_to_wait(("account", str(MAX_KEYS)), limit=1) > 0


@pytest.mark.parametrize(
    ("is_behind_proxy", "forwarded", "address"),
    [
        (False, "203.0.113.9", "192.0.2.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        (True, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (True, "", "192.0.2.1"),
    ],
)
def test_the_address_is_the_one_that_the_proxy_saw(
    settings: Any,
    *,
    is_behind_proxy: bool,
    forwarded: str,
    address: str,
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if is_behind_proxy else None
    request = RequestFactory(REMOTE_ADDR="192.0.2.1").get("/", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == address
