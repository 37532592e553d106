"""Gives the table of counters the name that the code uses."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cachelayer", "0001_initial")]
    operations = [migrations.RenameModel("Statistic", "CounterTotal")]
