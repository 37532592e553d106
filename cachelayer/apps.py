"""The app's registration with Django."""

from django.apps import AppConfig
from django.core.checks import register


class CachelayerConfig(AppConfig):
    """Registers the read layer."""

    name = "cachelayer"

    def ready(self) -> None:
        """Have the configuration checked."""
        from cachelayer import checks  # noqa: PLC0415 - models are there from here on

        register(checks.check, "cachelayer")
