"""The model of the members of a group."""

from django.db import models

from cachelayer import CachedModel
from conversations.db.managers import TableManager
from conversations.models.contact import Contact
from conversations.models.conversation import Conversation


class ParticipantManager(TableManager["Participant"]):
    """Reads the members of groups through the cache."""

    def present(self, conversation: Conversation) -> list["Participant"]:
        """Return the present members of a group with their contacts, ordered by name; [] if the chat is not a group."""
        if conversation.kind != "group":
            return []
        as_of = conversation.participants_as_of
        members = self.for_conversation(conversation.pk)
        members = [member for member in members if member.is_present and member.clock >= as_of]
        contacts = Contact.objects.fetch_many(member.contact_id for member in members)
        # The cached list of members may still contain a contact that another process has deleted.
        members = [member for member in members if member.contact_id in contacts]
        for member in members:
            member.contact = contacts[member.contact_id]
        return sorted(members, key=lambda member: (member.contact.name, member.pk))

    def for_conversation(self, conversation_id: int) -> list["Participant"]:
        """Return all present and former members of a group."""
        return self.fetch_rows(
            f"conversations:participants:{conversation_id}", lambda: self.filter(conversation=conversation_id)
        )


class Participant(CachedModel):
    """A present or former member of a group.

    `clock` is the sortable time of the latest event about the membership. `Conversation.participants_as_of` is the time
    of the group's latest complete member list; a participant whose `clock` is earlier is a former member.
    """

    class Role(models.TextChoices):
        """The member's rights in the group."""

        MEMBER = "member"
        ADMIN = "admin"
        SUPERADMIN = "superadmin"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    is_present = models.BooleanField(default=True)
    clock = models.CharField(max_length=32, editable=False)

    objects: ParticipantManager = ParticipantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "contact"], name="participant")]

    def __str__(self) -> str:
        return f"contact {self.contact_id} in conversation {self.conversation_id}"
