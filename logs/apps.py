"""The app's registration with Django."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """Registers the logging service."""

    name = "logs"
