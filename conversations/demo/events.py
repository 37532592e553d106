"""Webhooks as Evolution posts them: an event, the envelope round it, and the request's path and body."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from conversations.demo import demo_clock
from conversations.demo.demo_instances import DemoInstance

# Before a number is connected Evolution does not know its owner; these come before, whenever they come.
_OWNERLESS = frozenset({"instance.create", "qrcode.updated"})


@dataclass(frozen=True)
class Event:
    """One event: `at` is when Evolution built it, `root` what it has beside `data`; `is_again` marks a repetition."""

    at: int
    channel: DemoInstance
    name: str
    data: Any
    root: dict[str, Any] = field(default_factory=dict)
    is_again: bool = False

    def again(self, later: int) -> "Event":
        """Return the event once more: the same words, `later` ms later by the host's clock."""
        return replace(self, at=self.at + later, is_again=True)

    @property
    def body(self) -> dict[str, Any]:
        """What is posted."""
        channel = self.channel
        has_owner = not channel.is_cloud_api and self.at >= channel.connected_at and self.name not in _OWNERLESS
        return {
            **self.root,
            "event": self.name,
            "instance": channel.name,
            "data": self.data,
            "destination": f"https://whatsai.example.com{self._address}",
            "date_time": demo_clock.date_time(self.at),
            **({"sender": channel.owner_jid} if has_owner else {}),
            "server_url": channel.server_url,
            "apikey": channel.api_key,
        }

    @property
    def delivery(self) -> "Delivery":
        """The request that brings it."""
        suffix = f"/{self.name.replace('.', '-')}" if self.channel.posts_by_event else ""
        return Delivery(f"{self._address}{suffix}", encoded(self.body), self.channel.name, self.name, self.is_again)

    @property
    def _address(self) -> str:
        return f"/webhooks/evolution/{self.channel.name}"


@dataclass(frozen=True)
class Delivery:
    """One request: where to, what, and what to call it in an error."""

    path: str
    body: bytes
    instance: str
    event: str
    is_again: bool = False


def encoded(body: Any) -> bytes:
    """Return JSON as axios writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
