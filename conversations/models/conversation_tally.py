"""The tally of conversations: how many an instance has in each combination of states, kept by triggers on PostgreSQL.

Counting a million conversations takes most of a second, but summing the tally takes milliseconds. The triggers
(migration 0018) run once a statement and only insert rows: the differences that the statement made. So they wait for no
lock, and the sums are always those of the conversations that the same transaction sees.
"""

from django.db import connections, models, transaction

from conversations.models.conversation import Conversation
from conversations.models.instance import Instance

MAX_ROWS = 100  # an instance with more rows is compacted; 48 combinations of states exist

STATES = ("instance_id", "kind", "is_archived", "is_pinned", "is_unread")
COUNTS = ("conversations", "unread_messages")


class TallyManager(models.Manager["ConversationTally"]):
    """Keeps the tally short."""

    def is_kept(self) -> bool:
        """Return whether the database has the triggers that keep the tally."""
        return connections[self.db].vendor == "postgresql"

    def compact(self) -> None:
        """Replace the rows of instances with many rows, and of deleted ones, by their sums, which stay the same.

        The sums of a deleted instance are zero, so none of its rows is left.

        Rows that another transaction has locked are skipped, so that nobody waits.
        """
        if not self.is_kept():
            return
        with transaction.atomic(using=self.db), connections[self.db].cursor() as cursor:
            cursor.execute(_COMPACT, [MAX_ROWS])


class ConversationTally(models.Model):
    """A number of conversations, or a difference, to add to the others in the same states.

    Conversations that were deleted on the phone do not count.
    """

    instance = models.ForeignKey(Instance, models.DO_NOTHING, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=16, choices=Conversation.Kind)
    is_archived = models.BooleanField()
    is_pinned = models.BooleanField()
    is_unread = models.BooleanField()
    conversations = models.IntegerField()
    unread_messages = models.BigIntegerField()

    objects: TallyManager = TallyManager()

    def __str__(self) -> str:
        return f"{self.conversations:+} {self.kind} conversations of instance {self.instance_id}"


_TABLE = ConversationTally._meta.db_table  # noqa: SLF001 - Django documents _meta
_INSTANCES = Instance._meta.db_table  # noqa: SLF001 - as above
_COMPACT = f"""
    WITH removed AS (
        DELETE FROM {_TABLE} WHERE id IN (
            SELECT id FROM {_TABLE} WHERE instance_id IN (
                SELECT instance_id FROM {_TABLE} GROUP BY instance_id HAVING count(*) > %s
                OR NOT EXISTS (SELECT FROM {_INSTANCES} WHERE {_INSTANCES}.id = {_TABLE}.instance_id)
            )
            FOR UPDATE SKIP LOCKED
        )
        RETURNING *
    )
    INSERT INTO {_TABLE} ({", ".join((*STATES, *COUNTS))})
    SELECT {", ".join(STATES)}, sum(conversations), sum(unread_messages) FROM removed GROUP BY {", ".join(STATES)}
    HAVING sum(conversations) <> 0 OR sum(unread_messages) <> 0
"""  # noqa: S608 - constants
