"""The Django app configuration."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers the models, the admin, the commands and the cache policy."""

    name = "conversations"

    def ready(self) -> None:
        """Wire the cache."""
        from cachelayer import register  # noqa: PLC0415 - models can be imported only now
        from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES  # noqa: PLC0415 - as above

        register(NAMESPACES, INVALIDATION_RULES)
