"""The model of the members of a group."""

from django.db import models

from cachelayer import CachedModel, Page, cache
from conversations.db.managers import TableManager
from conversations.models.base import PAGE_SIZE
from conversations.models.contact import Contact
from conversations.models.conversation import Conversation

MAX_SHOWN = 100  # participants that are shown with their group
LONGEST_KNOWN_FIRST = ("contact_id",)


class ParticipantManager(TableManager["Participant"]):
    """Reads the present members of groups through the cache. A chat that is not a group has none."""

    def page(
        self, conversation: Conversation, *, cursor: str = "", limit: int = PAGE_SIZE, fresh: bool = False
    ) -> Page["Participant"]:
        """Return a page of the present members with their contacts; the contact known for longest comes first.

        Args:
            conversation: the group.
            cursor: a cursor from another page; "" for the first page.
            limit: maximum number of rows on the page.
            fresh: skip the local cache, as `fetch` does.
        """
        if conversation.kind != Conversation.Kind.GROUP:
            return Page([])
        page = self.fetch_page(
            self._tag(conversation),
            lambda: self._present(conversation),
            LONGEST_KNOWN_FIRST,
            cursor=cursor,
            limit=limit,
            fresh=fresh,
            as_of=conversation.participants_as_of,
        )
        contacts = Contact.objects.fetch_many(member.contact_id for member in page.rows)
        # The cached page may still contain a contact that another process has deleted.
        rows = [member for member in page.rows if member.contact_id in contacts]
        for member in rows:
            member.contact = contacts[member.contact_id]
        return Page(rows, page.next_cursor, page.previous_cursor)

    def shown(self, conversation: Conversation) -> list["Participant"]:
        """Return the first `MAX_SHOWN` present members with their contacts, ordered by name."""
        members = self.page(conversation, limit=MAX_SHOWN).rows
        return sorted(members, key=lambda member: (member.contact.name, member.pk))

    def count_present(self, conversation: Conversation) -> int:
        """Return the number of present members, from the cache if possible."""
        if conversation.kind != Conversation.Kind.GROUP:
            return 0
        tag, as_of = self._tag(conversation), conversation.participants_as_of
        return cache.fetch(f"{tag}:count:{as_of}", self.primary(self._present(conversation)).count, tags=(tag,))

    def _present(self, conversation: Conversation) -> models.QuerySet["Participant"]:
        return self.filter(conversation=conversation, is_present=True, clock__gte=conversation.participants_as_of)

    def _tag(self, conversation: Conversation) -> str:
        return f"conversations:participants:{conversation.pk}"


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
