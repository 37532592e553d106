"""The app's registration with Django."""

from django.apps import AppConfig


class CachelayerConfig(AppConfig):
    """Registers the read layer."""

    name = "cachelayer"
    verbose_name = "Cache"
