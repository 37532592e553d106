"""The app of the next release: gives each cached model the new columns, so that its entries have another format."""

from django.apps import AppConfig, apps
from django.db import models


class NextRelease(AppConfig):
    """Comes before the app of the models, because their rules look at the columns when that app is ready."""

    name = "tests.upgrades.next_release"
    label = "next_release"

    def ready(self) -> None:
        """Add the columns to the models."""
        for name in ("Instance", "Contact", "Conversation", "Message"):
            model = apps.get_model("conversations", name)
            model.add_to_class("next_note", models.TextField(null=True))
            model.add_to_class("next_count", models.IntegerField(db_default=7))
