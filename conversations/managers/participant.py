"""The members of groups, read as a list of a conversation."""

from typing import TYPE_CHECKING

from conversations.db.managers import TableManager

if TYPE_CHECKING:
    from conversations.models import Participant


class ParticipantManager(TableManager["Participant"]):
    """Reads of groups' members."""

    def for_conversation(self, conversation_id: int) -> list["Participant"]:
        """Return all that were ever said to be in a group."""
        return self.fetch_rows(
            f"conversations:participants:{conversation_id}", lambda: self.filter(conversation=conversation_id)
        )
