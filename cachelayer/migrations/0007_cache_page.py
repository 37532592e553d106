"""Names the link to the cache page after the page."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('cachelayer', '0006_histograms'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='countertotal',
            options={'verbose_name_plural': 'cache page'},
        ),
    ]
