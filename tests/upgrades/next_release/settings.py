"""The settings of the next release."""

from tests.settings import *  # noqa: F403 - the settings of today's release
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.upgrades.next_release.apps.NextRelease", *INSTALLED_APPS]
