from conversations.demo import connection_events
from conversations.demo.demo_instances import SALES_SP, SUPPORT_CLOUD, SUPPORT_RJ, DemoInstance


def steps(instance: DemoInstance) -> list[tuple[str, str]]:
    events = sorted(connection_events.events(7, instance), key=lambda event: event.at)
    return [(event.name, (event.data or {}).get("state", "")) for event in events]


def test_an_instance_is_created_shows_qr_codes_and_connects() -> None:
    assert steps(SALES_SP)[:8] == [
        ("instance.create", ""),
        ("connection.update", "connecting"),
        ("connection.update", "connecting"),
        *[("qrcode.updated", "")] * 3,
        ("connection.update", "connecting"),
        ("connection.update", "open"),
    ]


def test_a_network_outage_is_many_connecting_states() -> None:
    assert steps(SALES_SP)[8:] == [("connection.update", "connecting")] * 9 + [("connection.update", "open")]


def test_unscanned_qr_codes_end_in_refused_and_the_instance_is_created_again() -> None:
    sent = steps(SUPPORT_RJ)
    refused = sent.index(("connection.update", "refused"))
    assert sent[refused - 1] == ("qrcode.updated", "")
    assert sent[refused + 1 : refused + 4] == [
        ("remove.instance", ""),
        ("instance.delete", ""),
        ("instance.create", ""),
    ]


def test_a_logout_has_evolutions_event_order_and_the_number_connects_again() -> None:
    sent = steps(SUPPORT_RJ)
    logout = sent.index(("logout.instance", ""))
    assert sent[logout - 1][0] == "status.instance"
    assert sent[logout + 1] == ("connection.update", "close")
    assert sent[-1] == ("connection.update", "open")


def test_the_cloud_api_sends_only_instance_create() -> None:
    assert steps(SUPPORT_CLOUD) == [("instance.create", "")]
