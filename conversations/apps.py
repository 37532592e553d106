"""The Django app configuration of `conversations`."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers the models, the admin, the commands and the cache policy."""

    name = "conversations"

    def ready(self) -> None:
        """Register the cache policy of the models, which are loaded now."""
        from cachelayer import register  # noqa: PLC0415 - loading the models ends only now
        from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES  # noqa: PLC0415 - cache_policy imports models

        register(NAMESPACES, INVALIDATION_RULES)
