"""Compares the database with the state that the oracle expects."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from conversations.demo.events import Event
from conversations.models import Contact, Conversation, Instance, Message, WebhookEvent
from tests.load.oracle import ExpectedConversation, ExpectedMessage, Oracle
from tests.load.report import MAX_EXAMPLES, Report
from tests.load.scenario import Scenario, address_owners

PREVIEW_LENGTH = 255  # number of characters of its last chat message that a conversation stores
CALL = "call"
# Events that ingestion must not debounce: the inbox table must contain each of them, not only the latest.
NEVER_DEBOUNCED = frozenset(
    {"messages.upsert", "send.message", "messages.edited", "send.message.update", "messages.delete", "call"}
)


def verify_database(
    scenario: Scenario, instances: Iterable[Instance], delivered: Iterable[Event]
) -> tuple[Report, dict[int, ExpectedConversation]]:
    """Compare all database rows of some instances with the events that the site accepted.

    Args:
        scenario: the generated instances and chats.
        instances: the instances whose rows are compared.
        delivered: the events that the site accepted, without byte-identical repetitions.

    Returns:
        A report of all mismatches, and the expected conversations by primary key.
    """
    report = Report()
    conversations: dict[int, ExpectedConversation] = {}
    events: dict[str, list[Event]] = defaultdict(list)
    for event in delivered:
        events[event.instance.name].append(event)
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for (name, jid), owner in address_owners(scenario.chats).items():
        owners[name][jid] = owner
    for instance in Instance.objects.filter(pk__in=[instance.pk for instance in instances]):
        oracle = Oracle(owners[instance.name])
        oracle.add_events(events[instance.name])
        verify_inbox(instance, events[instance.name], report)
        pks = verify_rows(instance, oracle, report)
        verify_states(instance, oracle, owners[instance.name], report)
        conversations |= {pk: oracle.conversations[chat] for chat, pk in pks.items()}
    return report, conversations


def verify_rows(instance: Instance, oracle: Oracle, report: Report) -> dict[str, int]:
    """Compare the chat messages and conversations of an instance with the state that the oracle expects.

    Returns:
        The primary key of each chat's conversation; chats that have no conversation are left out.
    """
    rows: dict[tuple[str, bool], list[Message]] = defaultdict(list)
    for row in Message.objects.filter(instance=instance):
        rows[row.key_id, row.from_me].append(row)
    conversations = {row.pk: row for row in Conversation.objects.filter(instance=instance)}
    pks: dict[str, int] = {}
    for chat, conversation in oracle.conversations.items():
        subject = f"{instance.name} {chat}"
        report.conversations += 1
        found = set()
        for message in conversation.messages:
            copies = rows.pop((message.key_id, message.from_me), [])
            found |= {copy.conversation_id for copy in copies}
            _verify_message(subject, message, copies, report)
        if len(found) > 1:
            report.add("duplicated", f"{subject} has {len(found)} conversations")
        elif found:
            pks[chat] = found.pop()
            _verify_conversation(subject, conversation, conversations[pks[chat]], report)
    for (key_id, _), copies in rows.items():
        report.add("duplicated", f"{instance.name}: {len(copies)} messages {key_id} that were never posted")
    for pk in conversations.keys() - set(pks.values()):
        report.add("duplicated", f"{instance.name}: conversation {pk}, which has no expected message")
    return pks


def _verify_message(subject: str, message: ExpectedMessage, copies: list[Message], report: Report) -> None:
    report.messages += 1
    subject = f"{subject} {message.key_id}"
    if not copies:
        report.add("lost", subject)
        return
    if len(copies) > 1:
        report.add("duplicated", f"{subject} is stored {len(copies)} times")
    row = copies[0]
    report.expect_equal("wrong text", subject, row.text, message.text)
    report.expect_equal("wrong timestamp", subject, row.timestamp, message.at)
    report.expect_equal("wrong deletion", subject, row.is_deleted, message.is_deleted)
    if row.kind != CALL:
        report.expect_equal("wrong status", subject, row.status, message.status)
    reactions = sorted(reaction["emoji"] for reaction in row.reactions.values() if reaction["emoji"])
    report.expect_equal("wrong reactions", subject, reactions, message.reactions)
    votes = sorted(vote["options"] for vote in row.poll_results.values())
    report.expect_equal("wrong reactions", subject, votes, message.votes)
    report.expect_equal("wrong media", subject, row.media.get("file", "").rpartition("/")[2], message.file)


def _verify_conversation(subject: str, expected: ExpectedConversation, row: Conversation, report: Report) -> None:
    report.expect_equal("wrong unread", subject, row.unread_count, expected.unread)
    actual = (row.last_message_at, row.last_message_text, row.last_message_from_me)
    last = expected.last
    text = "" if last.is_deleted else last.text[:PREVIEW_LENGTH]
    report.expect_equal("wrong last message", subject, actual, (last.at, text, last.from_me))


def verify_states(instance: Instance, oracle: Oracle, owners: Mapping[str, str], report: Report) -> None:
    """Compare the connection state of an instance and the presences of its contacts with the oracle."""
    if oracle.state:
        report.expect_equal("wrong state", instance.name, instance.state, oracle.state)
    actual: dict[str, set[str]] = defaultdict(set)
    for jid, presence in Contact.objects.filter(instance=instance).values_list("jid", "presence"):
        if presence:
            actual[owners.get(jid, jid)].add(presence)
    for phone, presence in oracle.presences.items():
        report.expect_equal("wrong state", f"{instance.name} {phone}", actual[phone], {presence})


def verify_inbox(instance: Instance, delivered: Iterable[Event], report: Report) -> None:
    """Report accepted events that are not stored in the inbox table, and stored events that were not applied.

    Debounced events are not counted, because the inbox table may contain only the last of them.
    """
    accepted = Counter(event.name for event in delivered if event.name in NEVER_DEBOUNCED)
    events = WebhookEvent.objects.filter(instance=instance)
    for name, count in accepted.items():
        stored = events.filter(name=name).count()
        if stored < count:
            report.add("lost", f"{instance.name}: {count} different {name} were accepted, {stored} are in the inbox")
    for event in events.exclude(outcome__in=("applied", "ignored"))[:MAX_EXAMPLES]:
        report.add("not applied", f"{instance.name}: {event.name} {event.pk} is {event.outcome} {event.reason}")
