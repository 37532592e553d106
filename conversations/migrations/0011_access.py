"""Creates memberships and API tokens, and takes over the tokens and the access of existing users.

Until now every user saw every instance, and django-rest-knox kept the tokens. Existing tokens stay valid. Users who have
a token or may use the admin get the role `agent` in every instance that exists now.
"""

import datetime

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.utils.dateparse import parse_datetime

KNOX_TABLE = "knox_authtoken"
ALL_SCOPES = ["read", "write", "send", "manage"]


def take_over(apps, schema_editor):
    """Copy the tokens of django-rest-knox, whose table is dropped, and give their users access."""
    connection = schema_editor.connection
    token_model = apps.get_model("conversations", "ApiToken")
    user_model = apps.get_model(settings.AUTH_USER_MODEL)
    with connection.cursor() as cursor:
        if KNOX_TABLE in connection.introspection.table_names(cursor):
            copy_tokens(cursor, token_model)
            schema_editor.execute(f"DROP TABLE {KNOX_TABLE}")
    users = user_model.objects.filter(is_superuser=False).filter(
        models.Q(is_staff=True) | models.Q(api_tokens__isnull=False)
    )
    instances = list(apps.get_model("conversations", "Instance").objects.values_list("pk", flat=True))
    membership_model = apps.get_model("conversations", "Membership")
    membership_model.objects.bulk_create(
        [
            membership_model(user=user, instance_id=instance, role="agent")
            for user in users.distinct()
            for instance in instances
        ],
        batch_size=1000,
    )


def copy_tokens(cursor, token_model):
    """Copy the tokens; the digest is the same hash of the same token."""
    cursor.execute(f"SELECT digest, token_key, user_id, created, expiry FROM {KNOX_TABLE}")  # noqa: S608 - a constant
    columns = ("digest", "hint", "user_id", "created_at", "expires_at")
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        row.update({name: aware(row[name]) for name in ("created_at", "expires_at")}, hint=row["hint"][:12])
    token_model.objects.bulk_create([token_model(scopes=ALL_SCOPES, name="issued by an earlier version", **row) for row in rows])


def aware(moment):
    """Return a time of the database as Django needs it; SQLite returns text without a time zone."""
    if isinstance(moment, str):
        moment = parse_datetime(moment)
    return moment.replace(tzinfo=datetime.UTC) if moment is not None and moment.tzinfo is None else moment


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0010_identity"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, default="", help_text="purpose of the token", max_length=100)),
                ("digest", models.CharField(editable=False, max_length=128, unique=True)),
                (
                    "hint",
                    models.CharField(editable=False, help_text="the first characters of the token", max_length=16),
                ),
                ("scopes", models.JSONField(default=list, help_text="what the token may do")),
                (
                    "instance_ids",
                    models.JSONField(
                        blank=True,
                        help_text="ids of the instances to which the token is limited; null for all of the user",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("reader", "Reader"), ("agent", "Agent"), ("manager", "Manager")],
                        default="agent",
                        help_text="reader: read; agent: also change and send; manager",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="conversations.instance",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "instance"), name="membership")],
            },
        ),
        migrations.CreateModel(
            name='ReadingRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('username', models.CharField(max_length=150)),
                ('conversation_pk', models.BigIntegerField(verbose_name='conversation id')),
                ('conversation_jid', models.CharField(max_length=128, verbose_name='conversation address')),
                ('read_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ('instance', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='conversations.instance')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.RunPython(take_over, migrations.RunPython.noop),
    ]
