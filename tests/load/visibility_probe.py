"""How long it takes from an answer until the API shows the message: seen by asking the API, as a consumer would.

A few instances are watched; their latest messages are asked for a few times a second, while one is waited for. The
figure is too high by up to `EVERY` seconds, never too low. A message that Evolution sends again much later is not among
the latest: who waits for long is looked for deeper down.
"""

import asyncio
import math
from collections.abc import Mapping

from tests.load import requests, scenario
from tests.load.http_client import Pool
from tests.load.schedule import Post

EVERY = 0.25  # seconds
LATEST, DEEP = 20, 200  # messages asked for
VERY_LONG = 2.0  # seconds
TIMEOUT = 10.0


class VisibilityProbe:
    """Watches some instances.

    Args:
        pool: the connections.
        asked: the requests for the latest messages, of few and of many, by the instance's name.
        patience: seconds after which a message is not waited for any longer.
    """

    def __init__(self, pool: Pool, asked: Mapping[str, tuple[bytes, bytes]], patience: float) -> None:
        self._pool = pool
        self._patience = patience
        self._asked = asked
        self._waiting: dict[str, dict[str, float]] = {name: {} for name in asked}
        self._is_over = False
        self._seen: set[str] = set()
        self.lags: list[float] = []

    def accepted(self, post: Post, at: float) -> None:
        """Note a post that was taken; only the first copy of a new message that was not held back is waited for."""
        event = post.event
        if not post.is_prompt or event.name not in scenario.BUBBLES or event.channel.name not in self._waiting:
            return
        key_id = event.data["key"]["id"]
        if scenario.is_bubble(event) and key_id not in self._seen:
            self._seen.add(key_id)
            self._waiting[event.channel.name][key_id] = at

    async def run(self) -> None:
        """Ask until `finish`, and then until nothing is waited for."""
        await asyncio.gather(*(self._look(name, number) for number, name in enumerate(self._asked)))

    def stop(self) -> None:
        """Wait for nothing new."""
        self._is_over = True

    async def _look(self, name: str, number: int) -> None:
        await asyncio.sleep(EVERY * number / len(self._asked))  # not all at the same moment
        waiting = self._waiting[name]
        while waiting or not self._is_over:
            if waiting:
                await self._ask(name, waiting)
            await asyncio.sleep(EVERY)

    async def _ask(self, name: str, waiting: dict[str, float]) -> None:
        clock = asyncio.get_running_loop().time
        few, many = self._asked[name]
        try:
            shown = (await self._pool.ask(many if clock() - min(waiting.values()) > VERY_LONG else few, TIMEOUT)).body
        except OSError:
            shown = b""
        now = clock()
        for key_id, since in list(waiting.items()):
            # Cheaper than reading the JSON, and key ids are too long to stand there by chance.
            if f'"key_id":"{key_id}"'.encode() in shown:
                self.lags.append(now - since)
            elif now - since > self._patience:
                self.lags.append(math.inf)
            else:
                continue
            del waiting[key_id]


def latest(instance: int, token: str, host: str) -> tuple[bytes, bytes]:
    """Return the requests for an instance's latest messages, for few and for many."""
    path = f"/api/v1/messages/?instance={instance}&limit="
    return requests.get(f"{path}{LATEST}", token, host), requests.get(f"{path}{DEEP}", token, host)
