"""The settings of the next release."""

from whatsai.settings import *  # noqa: F403 - the settings of today's release
from whatsai.settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.upgrades.next_release.apps.NextRelease", *INSTALLED_APPS]
