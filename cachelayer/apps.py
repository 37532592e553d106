"""The app's registration with Django."""

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_migrate


class CachelayerConfig(AppConfig):
    """Registers the read layer."""

    name = "cachelayer"
    verbose_name = "Cache"

    def ready(self) -> None:
        """Have the configuration checked, and the cache cleared after migrations, which change rows past everything."""
        from cachelayer import cache, checks  # noqa: PLC0415 - models are there from here on

        register(checks.check, "cachelayer")
        post_migrate.connect(cache.on_migrated, sender=self, dispatch_uid="cachelayer")
