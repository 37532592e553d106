"""The app's registration with Django."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers the domain's models, admin and commands."""

    name = "conversations"
