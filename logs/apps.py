"""The app's registration with Django."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """Registers the logging service."""

    name = "logs"

    def ready(self) -> None:
        """Watch the database, and the ends of requests."""
        from django.core.signals import request_finished  # noqa: PLC0415 - there are settings from here on

        from logs import middleware, sql_logging  # noqa: PLC0415 - as above

        sql_logging.install()
        request_finished.connect(middleware.end, dispatch_uid="logs")
