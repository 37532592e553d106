"""Fixtures: Chromium, windows of it that are logged in, and the server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, sync_playwright

from tests.cachelayer.gunicorn import serving

# The browser asks nobody but the server, and runs as root too.
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
MILLISECONDS = 30_000  # to wait for what a page shows

PASSWORD = "a long password"

OpenPage = Callable[..., Page]


def log_in(page: Page, name: str) -> None:
    """Fill in and send the form of a page that asks who it is."""
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("[type=submit]")


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Browser]:  # noqa: ARG001 - creates the database before
    """Start the system's Chromium.

    Playwright runs an event loop in the thread of the tests, in which Django would refuse to use the database.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path, transactional_db: None) -> Iterator[str]:  # noqa: ARG001 - enables database access
    """Start the server; return its address."""
    with serving(tmp_path, HTTPS="false", INGEST_IN_WEB_PROCESS="true") as gunicorn:
        yield f"http://127.0.0.1:{gunicorn.port}"


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[OpenPage]:
    """Return a function that opens a path in a window of its own; each error in the page fails the test."""
    problems: list[str] = []
    contexts = []

    def open_path(
        path: str, user: User | None = None, *, width: int = 1280, scheme: str = "light", **options: Any
    ) -> Page:
        context = browser.new_context(
            base_url=site,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            **options,
        )
        context.set_default_timeout(MILLISECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(error.message))
        page.on("console", lambda line: problems.append(line.text) if "Security Policy" in line.text else None)
        page.goto(path)
        if user is not None:
            log_in(page, user.username)
            page.wait_for_url(f"**{path}")
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert problems == []
