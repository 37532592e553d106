"""Operations on messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet

from cachelayer import Page
from conversations.managers import PAGE
from conversations.managers.instance_scoped import InstanceScopedManager, pk_of
from conversations.managers.locking import owner

if TYPE_CHECKING:
    from conversations.models import Conversation, Instance, Message

LATEST = ("-timestamp", "-key_id", "-id")


class MessageManager(InstanceScopedManager["Message"]):
    """Operations on messages. Pages are ordered by WhatsApp's timestamp, latest first; never by arrival."""

    def for_conversation(
        self, conversation: "Conversation | int", *, cursor: str = "", limit: int = PAGE, fresh: bool = False
    ) -> Page["Message"]:
        """Return a page of a conversation's messages, latest first; see `fetch` for `fresh`."""
        pk = pk_of(conversation)
        rows = partial(self.filter, conversation=pk)
        return self.fetch_page(f"messages:{pk}", rows, LATEST, cursor=cursor, limit=limit, fresh=fresh)

    def for_instance(  # noqa: PLR0913 - one argument a filter, as the API has them
        self,
        instance: "Instance | int | None",
        *,
        kind: str = "",
        from_me: bool | None = None,
        cursor: str = "",
        limit: int = PAGE,
        fresh: bool = False,
    ) -> Page["Message"]:
        """Return a page of an instance's messages (of all instances' for None), latest first.

        Args:
            instance: the instance, its primary key, or None.
            kind: one of `Message.Kind`, or "".
            from_me: only the instance's own, or only others'; None for both.
            cursor: "" or a cursor of another page.
            limit: rows at most.
            fresh: see `fetch`.
        """
        given = {"kind": kind or None, "from_me": from_me}
        filters = {name: value for name, value in given.items() if value is not None}
        tag = self.list_tag(instance)

        def rows() -> QuerySet["Message"]:
            return self.scoped_to(instance).filter(**filters)

        return self.fetch_page(tag, rows, LATEST, cursor=cursor, limit=limit, fresh=fresh, **filters)

    def upsert(
        self, conversation: "Conversation", key_id: str, *, from_me: bool, **fields: Any
    ) -> tuple["Message", bool]:
        """Return the message with that key, made or updated with `fields`, and whether it was made."""
        with self._counted(conversation):
            return self.update_or_create(
                instance_id=conversation.instance_id,
                conversation=conversation,
                key_id=key_id,
                from_me=from_me,
                defaults=fields,
            )

    def delete(self, pk: int) -> bool:
        """Delete the row; return whether it was there. A message that its sender deleted keeps its row."""
        row = self.select_related("conversation").filter(pk=pk).first()
        if row is None:
            return False
        with self._counted(row.conversation):
            return bool(self.filter(pk=pk).delete()[0])

    @contextmanager
    def _counted(self, conversation: "Conversation") -> Iterator[None]:
        """Under the instance's lock, take the conversation's last message and unread count anew afterwards."""
        with transaction.atomic():
            owner(self.model).lock(conversation.instance_id)
            yield
            type(conversation).objects.recount(conversation.pk)
