from conversations.demo import connection_events
from conversations.demo.demo_instances import SUPORTE, SUPPORT, VENDAS, DemoInstance


def steps(channel: DemoInstance) -> list[tuple[str, str]]:
    events = sorted(connection_events.events(7, channel), key=lambda event: event.at)
    return [(event.name, (event.data or {}).get("state", "")) for event in events]


def test_a_number_is_made_shown_a_code_and_connected() -> None:
    assert steps(VENDAS)[:8] == [
        ("instance.create", ""),
        ("connection.update", "connecting"),
        ("connection.update", "connecting"),
        *[("qrcode.updated", "")] * 3,
        ("connection.update", "connecting"),
        ("connection.update", "open"),
    ]


def test_a_moment_without_network_is_a_storm() -> None:
    assert steps(VENDAS)[8:] == [("connection.update", "connecting")] * 9 + [("connection.update", "open")]


def test_a_code_that_nobody_scans_ends_in_a_refusal_and_the_instance_is_made_again() -> None:
    told = steps(SUPORTE)
    refused = told.index(("connection.update", "refused"))
    assert told[refused - 1] == ("qrcode.updated", "")
    assert told[refused + 1 : refused + 4] == [
        ("remove.instance", ""),
        ("instance.delete", ""),
        ("instance.create", ""),
    ]


def test_a_logout_on_the_phone_is_told_in_evolutions_order_and_the_number_comes_back() -> None:
    told = steps(SUPORTE)
    logout = told.index(("logout.instance", ""))
    assert told[logout - 1][0] == "status.instance"
    assert told[logout + 1] == ("connection.update", "close")
    assert told[-1] == ("connection.update", "open")


def test_the_cloud_api_only_says_that_the_instance_was_made() -> None:
    assert steps(SUPPORT) == [("instance.create", "")]
