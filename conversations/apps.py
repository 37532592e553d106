"""The Django app configuration of `conversations`."""

from django.apps import AppConfig

from conversations.webhooks import free_memory


class ConversationsConfig(AppConfig):
    """Registers the models, the admin, the commands and the cache policy."""

    name = "conversations"

    def ready(self) -> None:
        """Register the cache policy with the cache, after Django has loaded the models, and observe SQL statements."""
        from cachelayer import register  # noqa: PLC0415 - models cannot be imported earlier
        from conversations.access import users  # noqa: PLC0415 - needs the loaded models
        from conversations.cache_policy import INVALIDATION_RULES, NAMESPACES  # noqa: PLC0415 - needs the loaded models
        from conversations.monitoring import statements  # noqa: PLC0415 - needs configured settings

        register(NAMESPACES, INVALIDATION_RULES)
        users.connect()
        statements.observe()
        free_memory.configure()
