"""What tests of several pages need: a user who may see everything, and what axe finds on a page."""

from importlib.resources import files

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.browser.conftest import PASSWORD

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()


def a_superuser() -> User:
    """Create a user whose password the server can check; it does not know the fast hash of the tests."""
    password = PBKDF2PasswordHasher().encode(PASSWORD, "salt")
    return User.objects.create(username="root", password=password, is_superuser=True, is_staff=True)


def serious_problems(page: Page) -> list[str]:
    """Return what axe finds on a page that keeps people from using it."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {node['html']}: {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
