"""The Django app of the logging service."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """Connects the logging service to Django's signals."""

    name = "logs"

    def ready(self) -> None:
        """Log slow and failing SQL statements, and clear the bound fields at the end of each request."""
        from django.core.signals import request_finished  # noqa: PLC0415 - Django signals need configured settings

        from logs import middleware, sql_logging  # noqa: PLC0415 - the modules need configured settings

        sql_logging.install()
        request_finished.connect(middleware.clear_bindings, dispatch_uid="logs")
