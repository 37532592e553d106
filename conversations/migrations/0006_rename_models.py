"""Renames the models and fields of ingestion to standard terms."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("conversations", "0005_instance_keeps_its_name")]
    operations = [
        migrations.RenameModel("Turn", "IngestLease"),
        migrations.RenameModel("IngestCount", "IngestCounter"),
        migrations.RenameModel("ParkedUpdate", "PendingUpdate"),
        migrations.RenameField("instance", "speaks_for_server", "is_global_webhook"),
        migrations.RenameField("webhookevent", "settled_at", "finished_at"),
    ]
