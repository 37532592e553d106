"""The contexts a record can belong to, each an ordinary logger: `CONTEXT.logger.info(…)`."""

import enum
import logging


class Context(enum.StrEnum):
    """A part of the system that operators look at on its own; the value is the logger's last name."""

    CACHE = "cache"
    API = "api"
    WEBHOOK = "webhook"
    DATABASE = "database"
    EVOLUTION = "evolution"
    MEDIA = "media"
    GENERAL = "general"

    @property
    def logger(self) -> logging.Logger:
        """The standard library's logger of this context."""
        return logging.getLogger(f"whatsai.{self.value}")
