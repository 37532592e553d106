"""The app's registration with Django."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers the domain's models, admin and commands, and what of it is cached."""

    name = "conversations"

    def ready(self) -> None:
        """Wire the cache."""
        from cachelayer import register  # noqa: PLC0415 - models can be imported only now
        from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES  # noqa: PLC0415 - as above

        register(NAMESPACES, INVALIDATION_RULES)
