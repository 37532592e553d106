"""The demo's webhook events, their JSON bodies, and the HTTP requests that deliver them, as Evolution sends them."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from conversations.demo import demo_clock
from conversations.demo.demo_instances import DemoInstance

Json = dict[str, Any]
TimedEvent = tuple[int, str, Any]  # (time in milliseconds, name of the event, data of the event)

# Names of events whose body has no `sender`, because Evolution does not know the owner before a number is connected.
_SENDERLESS = frozenset({"instance.create", "qrcode.updated"})


@dataclass(frozen=True)
class Event:
    """One webhook event of the demo.

    Attributes:
        at: time when Evolution built the event.
        instance: the instance that the event belongs to.
        name: the event's name, such as "messages.upsert".
        data: the value of `data` in the request body.
        extra: further top-level values of the request body.
        is_repetition: whether the event repeats an earlier event.
    """

    at: int
    instance: DemoInstance
    name: str
    data: Any
    extra: Json = field(default_factory=dict)
    is_repetition: bool = False

    def repeat(self, later: int) -> "Event":
        """Return a repetition of the event, built `later` milliseconds later."""
        return replace(self, at=self.at + later, is_repetition=True)

    @property
    def body(self) -> Json:
        """The event's request body, before the body is encoded as JSON."""
        instance = self.instance
        is_connected = self.at >= instance.connected_at
        has_sender = not instance.is_cloud_api and is_connected and self.name not in _SENDERLESS
        return {
            **self.extra,
            "event": self.name,
            "instance": instance.name,
            "data": self.data,
            "destination": f"https://whatsai.example.com{self._path}",
            "date_time": demo_clock.date_time(self.at),
            **({"sender": instance.owner_jid} if has_sender else {}),
            "server_url": instance.server_url,
            "apikey": instance.api_key,
        }

    @property
    def delivery(self) -> "Delivery":
        """The HTTP request that delivers the event."""
        suffix = f"/{self.name.replace('.', '-')}" if self.instance.webhook_by_events else ""
        return Delivery(f"{self._path}{suffix}", encode(self.body), self.instance.name, self.name, self.is_repetition)

    @property
    def _path(self) -> str:
        return f"/webhooks/evolution/{self.instance.name}"


@dataclass(frozen=True)
class Delivery:
    """One HTTP request that delivers an event; `instance` and `event` are names for error texts."""

    path: str
    body: bytes
    instance: str
    event: str
    is_repetition: bool = False


def encode(body: Any) -> bytes:
    """Return a value as JSON without spaces, as Evolution's HTTP client axios formats it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
