"""Times of events, of messages and of edits give the right rows, whatever the clock of the Evolution host says."""

import datetime as dt
import itertools
import random
from typing import Any

import pytest
from django.db import connection

from conversations.evolution.coerce import from_ms, to_ms
from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.apply.orders import apply_at_once, apply_in_every_order, apply_one_by_one
from tests.conversations.ingest.bodies import GROUP, LID, OWNER, PHONE, SECOND, Body, envelope, text
from tests.conversations.ingest.receive import receive
from tests.conversations.ingest.row_snapshots import Rows
from tests.effort import effort
from tests.payloads import case

pytestmark = pytest.mark.django_db

HOUR, DAY = 3600, 86400
SEEDS = effort(3 if connection.vendor == "sqlite" else 1, 10)  # shuffled orders; PostgreSQL takes longer
NOW = SECOND + 5 * DAY  # seconds since the epoch


def received(body: Body, at: float, date_time: float | None = None) -> Body:
    """Return the body as received at a time; its `date_time` is at another time, or the same. Times are in seconds."""
    shown = from_ms(round((at if date_time is None else date_time) * 1000))
    clock = shown.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**body, "date_time": clock, "received_at": from_ms(round(at * 1000))}


def state(value: str, at: float, date_time: float | None = None) -> Body:
    return received(envelope("connection.update", {"state": value, "statusReason": 200}), at, date_time)


def apply_shuffled(bodies: list[Body]) -> Rows:
    """Apply bodies in the order given, shuffled, twice and at once; check that the rows are the same; return them."""
    rows = apply_one_by_one(bodies)
    for seed in range(SEEDS):
        shuffled = random.Random(seed).sample(bodies + bodies, 2 * len(bodies))
        assert apply_one_by_one(shuffled) == rows
        assert apply_at_once(shuffled) == rows
    return rows


# --- the order of messages --------------------------------------------------------------------------------------------
def threads(rows: list[Message]) -> list[str]:
    page = Message.objects.for_conversation(rows[0].conversation_id)
    return [row.text for row in page.rows][::-1]


def test_messages_of_one_second_have_the_order_of_sending_in_every_order_of_arrival() -> None:
    bodies = case("same-second")
    expected = [body["data"]["message"]["conversation"] for body in bodies]
    for seed in range(SEEDS):
        instance = Instance.objects.create(name=f"{bodies[0]['instance']}-{seed}")
        shuffled = random.Random(seed).sample(bodies + bodies, 20)
        for body in shuffled:
            receive(instance, {**body, "instance": ""})
        (chat,) = Conversation.objects.filter(instance=instance)
        assert threads(list(chat.messages.all())) == expected
        assert chat.last_message_text == "passo 10"
        seen: list[str] = []
        cursor, pages = "", 0
        while pages == 0 or cursor:
            page = Message.objects.for_conversation(chat, limit=3, cursor=cursor)
            seen += [row.text for row in page.rows]
            cursor, pages = page.next_cursor, pages + 1
        assert seen == expected[::-1]


def test_the_read_watermark_splits_a_second() -> None:
    questions = [received(text(f"Q{n}", PHONE, str(n)), NOW, SECOND + n / 10) for n in range(4)]
    answer = received(text("ANSWER", PHONE, from_me=True), NOW, SECOND + 0.15)
    (chat,) = apply_shuffled([*questions, answer])["conversations"]
    assert (chat["unread_count"], chat["last_message_text"]) == (2, "3")
    read = received(
        envelope("messages.update", {"keyId": "Q2", "remoteJid": PHONE, "fromMe": False, "status": "READ"}), NOW
    )
    (chat,) = apply_shuffled([*questions, read])["conversations"]
    assert chat["unread_count"] == 1


def test_mark_read_leaves_later_messages_of_the_same_second_unread() -> None:
    instance = Instance.objects.create(name="marked")
    first, second = (received(text(key, PHONE), NOW, SECOND + n) for n, key in enumerate(("A", "B")))
    for body in (first, second):
        del body["received_at"]
    receive(instance, first)
    (chat,) = Conversation.objects.filter(instance=instance)
    assert Conversation.objects.mark_read(chat.pk).unread_count == 0
    receive(instance, second)
    chat.refresh_from_db()
    assert (chat.unread_count, Conversation.objects.recount(chat.pk).unread_count) == (1, 1)


def test_a_copy_from_an_import_does_not_change_the_order() -> None:
    late, early = (received(text(key, PHONE, key), NOW, SECOND + n) for n, key in ((5, "A"), (1, "B")))
    imported = received(envelope("messages.set", [late["data"], early["data"]]), NOW + DAY, SECOND)
    (chat,) = apply_in_every_order(late, early, imported)["conversations"]
    assert chat["last_message_text"] == "A"


# --- the times of messages --------------------------------------------------------------------------------------------
STATED = {
    "T00": 0, "T01": 1, "T02": 2, "T03": 3, "T05": 5, "T06": 6.5, "T07": 7.25, "T08": 8, "T14": 14, "T16": 16,
}  # fmt: skip


def test_a_message_has_the_time_that_is_there_or_else_that_of_its_arrival() -> None:
    instance = Instance.objects.create(name="timestamps")
    before = dt.datetime.now(dt.UTC)
    for body in case("timestamps"):
        receive(instance, body)
    after = dt.datetime.now(dt.UTC)
    for row in Message.objects.filter(instance=instance):
        if row.key_id in STATED:
            assert row.timestamp.timestamp() == 1772460000 + STATED[row.key_id], row.key_id
        else:
            assert before <= row.timestamp + dt.timedelta(milliseconds=1), row.key_id
            assert row.timestamp <= after, row.key_id


def test_a_message_of_a_host_whose_clock_is_a_year_ahead_is_not_the_last_for_a_year() -> None:
    sent = received(text("SENT", PHONE, "da api", from_me=True, at=5 * DAY + 365 * DAY), NOW, NOW + 365 * DAY)
    answer = received(text("ANSWER", PHONE, "resposta", at=5 * DAY + 60), NOW + 60)
    (chat,) = apply_in_every_order(sent | {"event": "send.message"}, answer)["conversations"]
    assert chat["last_message_text"] == "resposta"


def test_a_webhook_that_comes_months_late_keeps_its_times() -> None:
    (row,) = apply_one_by_one([received(text("OLD", PHONE), NOW + 90 * DAY, SECOND)])["messages"]
    assert to_ms(row["timestamp"]) == SECOND * 1000


# --- edits ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("delay", [0.2, 20 * 60, 5 * HOUR, 90 * DAY])
def test_an_edit_has_whatsapps_time_and_the_later_edit_wins(delay: float) -> None:
    bodies = [{**body, "instance": "", "received_at": from_ms(0)} for body in case("edit-host-utc7")]
    for body in bodies:
        sent = dt.datetime.fromisoformat(body["date_time"]) - dt.timedelta(hours=7)
        body["received_at"] = sent + dt.timedelta(seconds=delay)
    (row,) = apply_shuffled(bodies)["messages"]
    assert (row["text"], row["original_text"]) == ("preço 30", "preço 10")
    assert to_ms(row["edited_at"]) == 1772460120000


# --- states -----------------------------------------------------------------------------------------------------------
def test_states_do_not_freeze_when_the_clock_of_the_host_changes() -> None:
    jumps = [9 * HOUR, -3 * HOUR, 7 * HOUR, 0, 365 * DAY, -3 * HOUR, 10 * 365 * DAY, 0]
    for before, after in itertools.pairwise(jumps):
        old = state("open", NOW, NOW + before)
        new = state("close", NOW + 600, NOW + 600 + after)
        (row,) = apply_in_every_order(old, new)["instance"]
        assert row["state"] == "close", (before, after)


@pytest.mark.parametrize("zone", [9 * HOUR, 0, -3 * HOUR])
@pytest.mark.parametrize("delay", [5, 10 * 60, 24 * 60, 2 * DAY, 90 * DAY])
def test_a_state_that_comes_late_does_not_beat_a_newer_one(zone: int, delay: int) -> None:
    late = state("connecting", NOW + delay, NOW + zone)
    newer = state("open", NOW + 2, NOW + 2 + zone)
    (row,) = apply_in_every_order(late, newer)["instance"]
    assert row["state"] == "open"


def test_the_recorded_states_of_a_host_that_changed_its_time_zone() -> None:
    bodies = case("tz-states")
    for days in (1, 30):
        at = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC) + dt.timedelta(days=days)
        (row,) = apply_shuffled([{**body, "received_at": at} for body in bodies])["instance"]
        assert (row["state"], row["qr_code"]) == ("open", "")


def test_a_presence_of_a_clock_that_is_ahead_does_not_stay() -> None:
    def presence(value: str, at: float, date_time: float) -> Body:
        data = {"id": PHONE, "presences": {PHONE: {"lastKnownPresence": value}}}
        return received(envelope("presence.update", data), at, date_time)

    ahead, right = presence("composing", NOW, NOW + 365 * DAY), presence("unavailable", NOW + 9, NOW + 9)
    (row,) = apply_in_every_order(ahead, right)["contacts"]
    assert row["presence"] == "unavailable"


def test_a_qr_code_ends_with_its_connection_attempt() -> None:
    def qr_code(at: float) -> Body:
        image = {"qrcode": {"base64": f"data:image/png;base64,{at}"}}
        return received(envelope("qrcode.updated", image), at)

    (row,) = apply_in_every_order(state("connecting", NOW), qr_code(NOW + 1), state("close", NOW + 2))["instance"]
    assert row["qr_code"] == ""
    rows = apply_in_every_order(state("close", NOW), state("connecting", NOW + 1), qr_code(NOW + 2))
    assert rows["instance"][0]["qr_code"].endswith(str(NOW + 2))
    (row,) = apply_shuffled(case("qr-stays"))["instance"]
    assert (row["qr_code"], row["is_removed"]) == ("", False)


@pytest.mark.parametrize(("event", "data"), [("instance.create", None), ("connection.update", {"state": "open"})])
def test_a_removed_instance_stays_removed_until_it_is_created_or_opens(event: str, data: Any) -> None:
    removal, late = received(envelope("remove.instance", None), NOW), state("connecting", NOW + 5)
    instance = Instance.objects.create(name="removed")
    for body in (removal, late):
        receive(instance, {name: value for name, value in body.items() if name != "received_at"})
    instance.refresh_from_db()
    assert (instance.is_removed, instance.current_state, instance.qr_code) == (True, "close", "")
    again = received(envelope(event, data), NOW + 9)
    (row,) = apply_in_every_order(removal, late, again)["instance"]
    assert not row["is_removed"]


def test_a_demoted_admin_is_a_member() -> None:
    rows = apply_in_every_order(*({**body, "instance": ""} for body in case("demote")))
    assert [row["role"] for row in rows["participants"]] == ["member"]


# --- imports ----------------------------------------------------------------------------------------------------------
def imported(*records: Body, at: float = NOW) -> Body:
    return received(envelope("messages.set", list(records)), at)


def stored(key_id: str, *statuses: str, at: int = 0, from_me: bool = False, **record: Any) -> Body:
    """Build a record as `findMessages` returns it."""
    record = {"message": {"conversation": "oi"}, **record, "MessageUpdate": [{"status": name} for name in statuses]}
    key = {"id": key_id, "remoteJid": PHONE, "fromMe": from_me, **record.pop("key", {})}
    return {"key": key, "messageType": "conversation", "messageTimestamp": SECOND + at, **record}


def test_an_import_says_nothing_of_unread() -> None:
    rows = apply_in_every_order(*({**body, "instance": ""} for body in case("history-unread")))
    assert [chat["unread_count"] for chat in rows["conversations"]] == [0]
    live = text("A", PHONE)
    rows = apply_in_every_order(live, imported(live["data"], stored("B", at=60)))
    assert [chat["unread_count"] for chat in rows["conversations"]] == [1]


@pytest.mark.parametrize("statuses", list(itertools.permutations(["SERVER_ACK", "READ", "DELIVERY_ACK"])))
def test_an_import_has_the_highest_of_all_statuses(statuses: tuple[str, ...]) -> None:
    (row,) = apply_one_by_one([imported(stored("A", *statuses, from_me=True))])["messages"]
    assert row["status"] == Message.Status.READ


def test_an_edited_record_has_the_new_text_and_keeps_the_earlier_time() -> None:
    edited = imported(stored("A", "EDITED", "SERVER_ACK", at=300, message={"conversation": "novo"}))
    live = text("A", PHONE, "antes")
    (row,) = apply_in_every_order(live, edited)["messages"]
    assert (row["text"], row["original_text"], to_ms(row["timestamp"])) == ("novo", "antes", SECOND * 1000)
    assert to_ms(row["edited_at"]) == (SECOND + 300) * 1000
    (row,) = apply_one_by_one([edited])["messages"]
    assert (row["text"], row["original_text"]) == ("novo", "")


def test_deleted_records_are_deleted() -> None:
    revoked = stored("A", "EDITED", "SERVER_ACK", at=60, message=None, messageType="audioMessage")
    by_api = stored("B", "DELETED", from_me=True, key={"deleted": True})
    rows = apply_in_every_order(imported(revoked), imported(by_api), text("A", PHONE, "segredo"))["messages"]
    assert [(row["key_id"], row["is_deleted"], row["text"]) for row in rows] == [
        ("A", True, "segredo"),
        ("B", True, "oi"),
    ]
    (row,) = apply_one_by_one([imported(revoked)])["messages"]
    assert (row["kind"], row["is_deleted"]) == ("audio", True)


def test_a_record_without_a_user_is_skipped_and_the_others_are_stored() -> None:
    instance = Instance.objects.create(name="import")
    nobody = stored("N", from_me=True, key={"remoteJid": "@s.whatsapp.net"})
    event = receive(instance, envelope("messages.set", [stored("A"), nobody, stored("B")]))
    assert event.outcome == "applied"
    assert set(Message.objects.filter(instance=instance).values_list("key_id", flat=True)) == {"A", "B"}


# --- statuses ---------------------------------------------------------------------------------------------------------
def test_a_status_of_the_cloud_api_finds_its_message_under_any_number() -> None:
    bodies = [{**body, "instance": ""} for body in case("cloud-status")]
    rows = apply_shuffled(bodies)
    assert {row["key_id"]: row["status"] for row in rows["messages"]} == {"wamid.OUT1==": 4, "wamid.IN2==": 3}
    assert rows["pending_updates"] == []


@pytest.mark.parametrize("address", [GROUP, LID, OWNER, OWNER.partition("@")[0]])
def test_a_later_acknowledgement_raises_the_status_of_a_group_message(address: str) -> None:
    sent = text("SENT", GROUP, from_me=True, status="PENDING") | {"event": "send.message"}
    update = {"keyId": "SENT", "remoteJid": address, "fromMe": True, "participant": PHONE, "status": "DELIVERY_ACK"}
    (row,) = apply_in_every_order(sent, envelope("messages.update", update))["messages"]
    assert row["status"] == Message.Status.DELIVERED
