"""Events about an instance, such as a new connection state, become latest-state values of the instance."""

from collections.abc import Mapping
from typing import Any

import pytest

from conversations.evolution import connection
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.events import Parser
from conversations.evolution.facts import InstanceState, OwnIdentity
from tests.conversations.evolution.envelopes import LIVE, OWNER, envelope

CLOSED = {"state": "close", "qr_code": ""}


def values(parser: Parser, raw: object) -> Mapping[str, Any]:
    (fact,) = [fact for fact in parser(raw, envelope("connection.update")) if not isinstance(fact, OwnIdentity)]
    assert isinstance(fact, InstanceState)
    assert fact.clock == LIVE
    return fact.values


def test_an_open_connection_has_the_owner_and_restores_a_removed_instance() -> None:
    raw = {"state": "open", "statusReason": 200, "wuid": OWNER, "profileName": "Loja"}
    assert values(connection.parse_connection_update, raw) == {
        "state": "open",
        "state_reason": 200,
        "owner_jid": OWNER,
        "profile_name": "Loja",
        "qr_code": "",
        "is_removed": False,
    }


def test_the_profile_name_is_a_name_of_the_instance() -> None:
    raw = {"state": "open", "profileName": "Loja"}
    assert OwnIdentity(name="Loja") in list(connection.parse_connection_update(raw, envelope("connection.update")))


@pytest.mark.parametrize("state", ["connecting", "close"])
def test_any_other_state_leaves_a_removed_instance_removed_and_clears_the_qr_code(state: str) -> None:
    raw = {"state": state, "statusReason": 401, "wuid": OWNER}
    assert values(connection.parse_connection_update, raw) == {"state": state, "state_reason": 401, "qr_code": ""}


def test_an_unknown_state_is_an_unknown_shape() -> None:
    with pytest.raises(UnknownShapeError):
        values(connection.parse_connection_update, {"state": "half-open"})


def test_the_end_of_a_session_closes_the_connection() -> None:
    raw = {"disconnectionReasonCode": 403}
    assert values(connection.parse_instance_status, raw) == {**CLOSED, "state_reason": 403}
    assert values(connection.parse_logout, None) == CLOSED


def test_a_removed_instance_keeps_its_evolution_id() -> None:
    raw = {"instanceId": "7d3f"}
    assert values(connection.parse_removal, raw) == {**CLOSED, "is_removed": True, "evolution_id": "7d3f"}
    assert values(connection.parse_removal, None) == {**CLOSED, "is_removed": True}
    assert values(connection.parse_creation, raw) == {"is_removed": False, "evolution_id": "7d3f"}


@pytest.mark.parametrize(
    ("raw", "qr_code"),
    [
        ({"qrcode": {"base64": "data:image/png;base64,AAAA"}}, "data:image/png;base64,AAAA"),
        ({"qrcode": {"base64": "https://example.com/x.png"}}, ""),
        ({"qrcode": {"base64": "data:image/png;base64," + "A" * connection.MAX_QR_CODE}}, ""),
        ({"statusCode": 500}, ""),
    ],
)
def test_a_qr_code_is_a_png_image_or_empty(raw: dict[str, Any], qr_code: str) -> None:
    assert values(connection.parse_qr_code, raw) == {"qr_code": qr_code}
