"""Clients that follow the site's changes during the load by long poll, event stream and webhook, and keep copies.

Half of them follow one instance only. Some begin in the middle of the load. Each one breaks its connection now and
then, and continues from its cursor, as it does when the server ends the connection. Receivers of webhooks refuse some
deliveries, and break off others.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from conversations.demo.rng import Random
from tests.load.api_client import ApiClient
from tests.load.copies import LISTS, Copy, Key, Loaded, Page, parse_page, text_of
from tests.load.event_stream import read_events
from tests.load.http_client import ApiError

PAGE_SIZE = 200
WAIT = 25  # seconds that a long poll waits for a change
CONNECTED = (3.0, 15.0)  # seconds after which a follower breaks its connection
PAUSE = (0.1, 1.0)  # seconds before it connects again


class Follower:
    """Keeps a copy. A subclass says how the changes come.

    Args:
        api: sends requests to the site.
        instance: the only instance that is followed; None for all.
        rng: draws when something goes wrong.

    Attributes:
        copy: what the client has.
        resets: how often rows had to be loaded anew, after the first load.
        reconnects: how often the client has connected again, or a receiver did not confirm.
    """

    kind = ""

    def __init__(self, api: ApiClient, instance: int | None, rng: Random) -> None:
        self.api = api
        self.instance = instance
        self.copy = Copy()
        self.resets = 0
        self.reconnects = 0
        self.rng = rng

    async def run(self, delay: float) -> None:
        """Follow until this task is cancelled, but begin later."""
        raise NotImplementedError

    def has(self, keys: Sequence[tuple[int, Key]]) -> bool:
        """Return whether the copy has these rows, each with its instance, if the client follows the instance."""
        return all(key in self.copy.rows for instance, key in keys if self.instance in (None, instance))

    async def start(self, page: Page) -> None:
        """Load all rows: changes meanwhile come after the cursor of the page."""
        loaded = [await self._load(resource, self.instance) for resource in LISTS]
        self.copy.rows.clear()
        self.copy.apply(page, loaded)

    async def apply(self, page: Page) -> None:
        """Apply changes, and load what they reset."""
        loaded = [await self._load(resource, instance or self.instance) for resource, instance in page.resets]
        self.resets += bool(loaded)
        self.copy.apply(page, loaded)

    async def _load(self, resource: str, instance: int | None) -> Loaded:
        rows: list[tuple[int, int, str]] = []
        selected = f"&instance={instance}" if instance and resource != "instance" else ""
        path = f"/api/v1/{LISTS[resource]}limit={PAGE_SIZE}{selected}"
        while path:
            page = await self.api.get(path)
            for row in page["results"]:
                pk, owner = row["id"], row.get("instance_id", row["id"])
                if instance not in (None, owner):
                    continue
                shown = await self._participants(pk) if resource == "participants" else row
                if shown is not None:
                    rows.append((pk, owner, text_of(resource, shown)))
            path = self.api.path_of(page["next"])
        return Loaded(resource, instance, rows)

    async def _participants(self, chat: int) -> dict[str, Any] | None:
        try:
            shown: dict[str, Any] = await self.api.get(f"/api/v1/conversations/{chat}/?fields=participants")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:  # deleted meanwhile
                return None
            raise
        return shown


class Client(Follower):
    """Asks the site. A subclass says how."""

    leaves_at = 0.0  # when it breaks its connection

    async def run(self, delay: float) -> None:
        """See `Follower.run`."""
        await asyncio.sleep(delay)
        while True:
            self.leaves_at = asyncio.get_running_loop().time() + self.rng.uniform(*CONNECTED)
            try:
                if not self.copy.cursor:
                    await self.start(parse_page(await self.api.read(f"/api/v1/changes/?{self.query}")))
                async with aclosing(self.pages()) as pages:
                    async for page in pages:
                        await self.apply(page)
            except ApiError as error:
                if error.status == HTTPStatus.GONE:
                    self.copy.cursor = ""
                    self.resets += 1
            except OSError:
                pass
            self.reconnects += 1
            await asyncio.sleep(self.rng.uniform(*PAUSE))

    def pages(self) -> AsyncGenerator[Page, None]:
        """Yield the changes after the copy's cursor, as they come, over one connection."""
        raise NotImplementedError

    @property
    def query(self) -> str:
        """What is followed, as query parameters."""
        return f"after={self.copy.cursor}" + (f"&instance={self.instance}" if self.instance else "")


class LongPoll(Client):
    """Asks for the next changes, and waits for the answer."""

    kind = "long poll"

    async def pages(self) -> AsyncGenerator[Page, None]:
        """See `Follower.pages`."""
        clock = asyncio.get_running_loop().time
        while (seconds := self.leaves_at - clock()) > 0:
            path = f"/api/v1/changes/?{self.query}&wait={WAIT}&limit={PAGE_SIZE}"
            yield parse_page(await self.api.read(path, seconds))


class Stream(Client):
    """Reads an event stream."""

    kind = "stream"

    async def pages(self) -> AsyncGenerator[Page, None]:
        """See `Follower.pages`."""
        path, api = f"/api/v1/events/?{self.query}", self.api
        async with aclosing(read_events(api.pool.host, api.pool.port, path, api.token, self.copy.cursor)) as events:
            while True:
                async with asyncio.timeout_at(self.leaves_at):
                    event = await anext(events)
                yield parse_page(event)
