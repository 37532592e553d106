"""Builds an instance's connection events: creation, pairing by QR code, network outage, logout, second pairing."""

from collections.abc import Callable, Iterator

from conversations.demo import demo_clock
from conversations.demo.demo_clock import HOUR, MINUTE, SECOND
from conversations.demo.demo_instances import SALES_SP, SUPPORT_RJ, DemoInstance
from conversations.demo.events import Event, Json, TimedEvent
from conversations.demo.rng import Random, rng_for

# PNG image of one grey pixel, which the demo sends instead of the image of a QR code.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
_FIRST_INSTANCE_ID = "0d6b1c58-7f2e-4b90-9a41-c8e35f7720b6"
_OUTAGE = 6 * HOUR + 13 * MINUTE  # time of a network outage, in milliseconds after the number was connected
_LOGOUT = 4 * HOUR + 41 * MINUTE  # time of a logout, in milliseconds after the number was connected
_RECONNECT_ATTEMPTS = 9
_QR_CODES = 3


def events(seed: int, instance: DemoInstance) -> list[Event]:
    """Return the events about the connection of an instance, as opposed to the events of its chats."""
    rng = rng_for(seed, instance.name, "pairing")
    timed: list[TimedEvent] = [(-5 * MINUTE, "instance.create", _identity(instance, instance.instance_id))]
    if not instance.is_cloud_api:
        timed += [(-2 * MINUTE + at, name, data) for at, name, data in _pairing(instance, rng, 2 * MINUTE)]
        timed += _INCIDENTS[instance.name](instance, rng)
    return [Event(instance.connected_at + at, instance, name, data) for at, name, data in timed]


def _identity(instance: DemoInstance, instance_id: str) -> Json:
    return {"instanceName": instance.name, "instanceId": instance_id}


def _state(instance: DemoInstance, state: str, reason: int = 200) -> Json:
    return {"instance": instance.name, "state": state, "statusReason": reason}


def _open_state(instance: DemoInstance) -> Json:
    return {
        "instance": instance.name,
        "wuid": instance.owner_jid,
        "profileName": instance.profile_name,
        "profilePictureUrl": f"https://pps.whatsapp.net/v/t61.24694-24/{instance.owner[-9:]}_n.jpg?ccb=11-4&oe=6B000000",
        "state": "open",
        "statusReason": 200,
    }


def _qr_codes(instance: DemoInstance, rng: Random, count: int) -> Iterator[TimedEvent]:
    for number in range(count):
        code = {
            "instance": instance.name,
            "pairingCode": None,
            "code": f"2@{rng.randbytes(24).hex()}",
            "base64": f"data:image/png;base64,{_PNG}",
        }
        yield (5 + 30 * number) * SECOND, "qrcode.updated", {"qrcode": code}


def _pairing(instance: DemoInstance, rng: Random, opens_after: int) -> Iterator[TimedEvent]:
    yield 0, "connection.update", _state(instance, "connecting")
    yield 40, "connection.update", _state(instance, "connecting")
    yield from _qr_codes(instance, rng, _QR_CODES)
    yield opens_after - 2 * SECOND, "connection.update", _state(instance, "connecting")
    yield opens_after, "connection.update", _open_state(instance)


def _network_outage(instance: DemoInstance, _: Random) -> Iterator[TimedEvent]:
    """Yield the events of a minute without network: many `connecting` states, and finally an `open` state."""
    for number in range(_RECONNECT_ATTEMPTS):
        yield _OUTAGE + 16 * number, "connection.update", _state(instance, "connecting")
    yield _OUTAGE + MINUTE, "connection.update", _open_state(instance)


def _failed_pairing_and_logout(instance: DemoInstance, rng: Random) -> Iterator[TimedEvent]:
    """Yield the events of a pairing that fails because nobody scans a QR code in time, and of a later logout."""
    first = -15 * HOUR
    yield first, "instance.create", _identity(instance, _FIRST_INSTANCE_ID)
    yield first + 40, "connection.update", _state(instance, "connecting")
    for at, name, code in _qr_codes(instance, rng, _QR_CODES + 1):
        yield first + at, name, code
    limit = {"message": "QR code limit reached, please login again", "statusCode": 500}
    yield first + 3 * MINUTE, "qrcode.updated", limit
    yield first + 3 * MINUTE + 3, "connection.update", _state(instance, "refused", 428)
    yield first + 9 * MINUTE, "remove.instance", None  # Evolution sends remove.instance before instance.delete
    yield first + 9 * MINUTE + 2, "instance.delete", _identity(instance, _FIRST_INSTANCE_ID)

    yield _LOGOUT, "status.instance", _closed_status(instance)
    yield _LOGOUT + 4, "logout.instance", None
    yield _LOGOUT + 5, "connection.update", _state(instance, "close", 401)
    for at, name, data in _pairing(instance, rng, 90 * SECOND):
        yield _LOGOUT + 6 * MINUTE + at, name, data


def _closed_status(instance: DemoInstance) -> Json:
    return {
        "instance": instance.name,
        "status": "closed",
        "disconnectionAt": demo_clock.utc_text(instance.connected_at + _LOGOUT),
        "disconnectionReasonCode": 401,
        "disconnectionObject": '{"error":{"data":null,"isBoom":true,"isServer":false,"output":{"statusCode":401}}}',
    }


# instance name → function that yields events, with times in milliseconds after the number was connected
_INCIDENTS: dict[str, Callable[[DemoInstance, Random], Iterator[TimedEvent]]] = {
    SALES_SP.name: _network_outage,
    SUPPORT_RJ.name: _failed_pairing_and_logout,
}
