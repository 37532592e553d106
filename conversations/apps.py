"""The Django app configuration."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers the models, the admin, the commands and the cache policy."""

    name = "conversations"

    def ready(self) -> None:
        """Register the cache policy."""
        from cachelayer.orm import rules  # noqa: PLC0415 - models are not loaded before
        from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES  # noqa: PLC0415 - likewise

        rules.register(NAMESPACES, INVALIDATION_RULES)
