"""The app's registration with Django."""

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_migrate


class CachelayerConfig(AppConfig):
    """Registers the cache."""

    name = "cachelayer"
    verbose_name = "Cache"

    def ready(self) -> None:
        """Register the system checks, provide the background threads, and clear the cache after migrations."""
        from cachelayer import cache, checks  # noqa: PLC0415 - models can be imported only now
        from cachelayer.background.threads import BackgroundThreads  # noqa: PLC0415 - as above
        from cachelayer.runtime.runtime import runtime  # noqa: PLC0415 - as above

        runtime.make_threads = BackgroundThreads
        register(checks.check, "cachelayer")
        post_migrate.connect(cache.on_migrated, sender=self, dispatch_uid="cachelayer")
