"""What happens to an instance: made, paired by QR code, cut off, logged out on the phone, paired again."""

from collections.abc import Callable, Iterator
from typing import Any

from conversations.demo import demo_clock, demo_instances
from conversations.demo.demo_clock import HOUR, MINUTE, SECOND
from conversations.demo.demo_instances import DemoInstance
from conversations.demo.events import Event
from conversations.demo.rng import Random, rng_for

# The smallest PNG: one grey pixel, in the place of a QR code.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
_FIRST_TRY_ID = "0d6b1c58-7f2e-4b90-9a41-c8e35f7720b6"
_OUTAGE = 6 * HOUR + 13 * MINUTE  # after the number was connected
_LOGOUT = 4 * HOUR + 41 * MINUTE
_STORM = 9  # attempts
_CODES = 3

Step = tuple[int, str, Any]  # ms from a beginning, event, data


def events(seed: int, channel: DemoInstance) -> list[Event]:
    """Return what the instance itself goes through."""
    chance = rng_for(seed, channel.name, "pairing")
    steps: list[Step] = [(-5 * MINUTE, "instance.create", _identity(channel, channel.instance_id))]
    if not channel.is_cloud_api:
        steps += [(-2 * MINUTE + at, name, data) for at, name, data in _paired(channel, chance, 2 * MINUTE)]
        steps += _TROUBLES[channel.name](channel, chance)
    return [Event(channel.connected_at + at, channel, name, data) for at, name, data in steps]


def _identity(channel: DemoInstance, instance_id: str) -> dict[str, Any]:
    return {"instanceName": channel.name, "instanceId": instance_id}


def _state(channel: DemoInstance, state: str, reason: int = 200) -> dict[str, Any]:
    return {"instance": channel.name, "state": state, "statusReason": reason}


def _opened(channel: DemoInstance) -> dict[str, Any]:
    return {
        "instance": channel.name,
        "wuid": channel.owner_jid,
        "profileName": channel.profile_name,
        "profilePictureUrl": f"https://pps.whatsapp.net/v/t61.24694-24/{channel.owner[-9:]}_n.jpg?ccb=11-4&oe=6B000000",
        "state": "open",
        "statusReason": 200,
    }


def _codes(channel: DemoInstance, chance: Random, count: int) -> Iterator[Step]:
    for number in range(count):
        code = {
            "instance": channel.name,
            "pairingCode": None,
            "code": f"2@{chance.randbytes(24).hex()}",
            "base64": f"data:image/png;base64,{_PNG}",
        }
        yield (5 + 30 * number) * SECOND, "qrcode.updated", {"qrcode": code}


def _paired(channel: DemoInstance, chance: Random, opens_after: int) -> Iterator[Step]:
    yield 0, "connection.update", _state(channel, "connecting")
    yield 40, "connection.update", _state(channel, "connecting")
    yield from _codes(channel, chance, _CODES)
    yield opens_after - 2 * SECOND, "connection.update", _state(channel, "connecting")
    yield opens_after, "connection.update", _opened(channel)


def _cut_off(channel: DemoInstance, _: Random) -> Iterator[Step]:
    """Yield a minute without network: a storm of `connecting`, sixteen milliseconds apart."""
    for number in range(_STORM):
        yield _OUTAGE + 16 * number, "connection.update", _state(channel, "connecting")
    yield _OUTAGE + MINUTE, "connection.update", _opened(channel)


def _second_try_and_logout(channel: DemoInstance, chance: Random) -> Iterator[Step]:
    """Yield a pairing that nobody scanned in time, and a number that was logged out on its phone."""
    first = -15 * HOUR
    yield first, "instance.create", _identity(channel, _FIRST_TRY_ID)
    yield first + 40, "connection.update", _state(channel, "connecting")
    for at, name, code in _codes(channel, chance, _CODES + 1):
        yield first + at, name, code
    limit = {"message": "QR code limit reached, please login again", "statusCode": 500}
    yield first + 3 * MINUTE, "qrcode.updated", limit
    yield first + 3 * MINUTE + 3, "connection.update", _state(channel, "refused", 428)
    yield first + 9 * MINUTE, "remove.instance", None  # it overtakes the next one
    yield first + 9 * MINUTE + 2, "instance.delete", _identity(channel, _FIRST_TRY_ID)

    yield _LOGOUT, "status.instance", _closed(channel)
    yield _LOGOUT + 4, "logout.instance", None
    yield _LOGOUT + 5, "connection.update", _state(channel, "close", 401)
    for at, name, data in _paired(channel, chance, 90 * SECOND):
        yield _LOGOUT + 6 * MINUTE + at, name, data


def _closed(channel: DemoInstance) -> dict[str, Any]:
    moment = demo_clock.utc(channel.connected_at + _LOGOUT).isoformat(timespec="milliseconds")
    return {
        "instance": channel.name,
        "status": "closed",
        "disconnectionAt": moment.replace("+00:00", "Z"),
        "disconnectionReasonCode": 401,
        "disconnectionObject": '{"error":{"data":null,"isBoom":true,"isServer":false,"output":{"statusCode":401}}}',
    }


_TROUBLES: dict[str, Callable[[DemoInstance, Random], Iterator[Step]]] = {
    demo_instances.VENDAS.name: _cut_off,
    demo_instances.SUPORTE.name: _second_try_and_logout,
}
