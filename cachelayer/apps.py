"""Registers the app `cachelayer` with Django."""

from django.apps import AppConfig
from django.core.checks import register
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class CachelayerConfig(AppConfig):
    """Connects the cache to Django when Django starts."""

    name = "cachelayer"
    verbose_name = "Cache"

    def ready(self) -> None:
        """Register the system checks, the class of the background threads, and receivers of Django's signals."""
        from cachelayer import cache, checks  # noqa: PLC0415 - models load after this module
        from cachelayer.background.threads import BackgroundThreads  # noqa: PLC0415 - models load after this module
        from cachelayer.runtime.database_identity import on_connection_created  # noqa: PLC0415 - models load after this module
        from cachelayer.runtime.runtime import runtime  # noqa: PLC0415 - models load after this module

        runtime.make_threads = BackgroundThreads
        register(checks.check, "cachelayer")
        connection_created.connect(on_connection_created, dispatch_uid="cachelayer")
        post_migrate.connect(cache.on_migrated, sender=self, dispatch_uid="cachelayer")
