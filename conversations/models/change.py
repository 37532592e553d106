"""The models of the change log: one row for each change of a row that the API shows, and where the log begins."""

import uuid

from django.db import models


class Change(models.Model):
    """One change of a row, appended by database triggers (migration 0026) in the transaction that made it.

    The log names rows and does not contain them: a reader of the log reads the present row. `docs/decisions/changes.md`
    describes how positions follow the order of commits.
    """

    class Resource(models.TextChoices):
        """What has changed. `PARTICIPANTS` is the list of the members of one group."""

        INSTANCE = "instance"
        CONTACT = "contact"
        CONVERSATION = "conversation"
        MESSAGE = "message"
        PARTICIPANTS = "participants"

    class Kind(models.TextChoices):
        """How it has changed. `RESET` stands for so many changes of one resource that its rows are to be read again."""

        CREATED = "created"
        UPDATED = "updated"
        DELETED = "deleted"
        RESET = "reset"

    transaction_id = models.BigIntegerField(
        help_text="PostgreSQL: the id of the transaction. SQLite: a random number, which other copies do not have."
    )
    instance_id = models.BigIntegerField(null=True, help_text="null: all instances")
    conversation_id = models.BigIntegerField(null=True)
    row_id = models.BigIntegerField(null=True, help_text="the primary key; of participants, that of the group")
    resource = models.CharField(max_length=16, choices=Resource)
    kind = models.CharField(max_length=8, choices=Kind)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.resource} {self.row_id} {self.kind}"


class ChangeHistory(models.Model):
    """The one row that names this database's log, and says up to which position retention has removed changes.

    `removed_history` is the history (`conversations.changes.history`) in which the changes were removed. Positions of
    other histories cannot be compared with it.
    """

    name = models.UUIDField(default=uuid.uuid4, editable=False)
    removed_transaction = models.BigIntegerField(default=0)
    removed_id = models.BigIntegerField(default=0)
    removed_history = models.CharField(max_length=32, blank=True, default="")

    def __str__(self) -> str:
        return str(self.name)
