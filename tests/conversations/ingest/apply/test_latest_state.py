"""Latest-state values: which of two values wins, and which rows and clocks are written to the database."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from conversations.evolution.facts import InstanceState
from conversations.evolution.labels import parse_label
from conversations.ingest.apply.latest_state import MAX_KEPT_LABELS, LatestState, newer_values, subject_for
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Conversation, Instance, StateClock
from conversations.models.state_clock import chat_subject, contact_subject, direct_subject
from tests.conversations.evolution.envelopes import envelope
from tests.effort import effort

Statement = tuple[dict[str, Any], str]  # values by field name, and the clock of the values


# --- pure -------------------------------------------------------------------------------------------------------------
def test_a_subject_names_the_row_and_its_kind() -> None:
    assert subject_for(Instance(pk=1)) == "instance"
    assert subject_for(Contact(pk=2)) == contact_subject(2) == "contact:2"
    assert subject_for(Conversation(pk=3, contact_id=2)) == direct_subject(2) == "direct:2"
    assert subject_for(Conversation(pk=4, jid="7@g.us")) == chat_subject("7@g.us") == "chat:7@g.us"


def test_a_value_with_a_later_clock_replaces_the_current_one() -> None:
    row = Contact(name="Zoe")
    assert newer_values(row, {"name": "1"}, {"name": "Ana"}, "2") == {"name": "Ana"}
    assert newer_values(row, {"name": "2"}, {"name": "Ana"}, "1") == {}


def test_on_equal_clocks_the_greater_value_wins() -> None:
    assert newer_values(Contact(name="Ana"), {"name": "1"}, {"name": "Zoe"}, "1") == {"name": "Zoe"}
    assert newer_values(Contact(name="Zoe"), {"name": "1"}, {"name": "Ana"}, "1") == {}


def test_each_field_has_a_clock_of_its_own() -> None:
    row = Contact(name="Ana", picture_url="old")
    new = {"name": "Zoe", "picture_url": "new"}
    assert newer_values(row, {"name": "3", "picture_url": "1"}, new, "2") == {"picture_url": "new"}


def test_each_label_has_a_clock_of_its_own() -> None:
    row = Conversation(labels={"7": True, "8": True})
    new = {"label:7": False, "label:8": False}
    assert newer_values(row, {"label:7": "3", "label:8": "1"}, new, "2") == {"label:8": False}


def test_a_value_without_a_clock_loses_to_any_clock() -> None:
    assert newer_values(Contact(name="Zoe"), {}, {"name": "Ana"}, "1") == {"name": "Ana"}


# --- with the database ------------------------------------------------------------------------------------------------
@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


@pytest.fixture
def contact(instance: Instance) -> Contact:
    return Contact.objects.create(instance=instance, jid="5521@s.whatsapp.net")


def apply_all(instance: Instance, row: Contact | Conversation, *statements: Statement) -> list[set[str]]:
    """Apply statements one by one, and save the row and clocks; return the fields that each statement changed."""
    states, changes = LatestState(instance, [subject_for(row)]), UnitOfWork()
    changed = [states.apply(row, values, clock, changes) for values, clock in statements]
    changes.save()
    states.save()
    return changed


@pytest.mark.django_db
def test_values_and_clocks_are_saved(instance: Instance, contact: Contact) -> None:
    assert apply_all(instance, contact, ({"name": "Ana", "presence": "available"}, "1")) == [{"name", "presence"}]
    assert apply_all(instance, contact, ({"name": "Zoe"}, "2")) == [{"name"}]
    contact.refresh_from_db()
    assert (contact.name, contact.presence) == ("Zoe", "available")
    assert StateClock.objects.get().clocks == {"name": "2", "presence": "1"}


@pytest.mark.django_db
def test_a_repeated_value_with_a_later_clock_saves_only_the_clock(instance: Instance, contact: Contact) -> None:
    apply_all(instance, contact, ({"name": "Ana"}, "1"))
    assert apply_all(instance, contact, ({"name": "Ana"}, "2")) == [set()]
    assert StateClock.objects.get().clocks == {"name": "2"}


@pytest.mark.django_db
def test_an_older_value_writes_nothing(
    instance: Instance, contact: Contact, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    apply_all(instance, contact, ({"name": "Ana"}, "2"))
    with django_assert_num_queries(1):  # one query reads the clocks
        assert apply_all(instance, contact, ({"name": "Zoe"}, "1")) == [set()]


@pytest.mark.django_db
def test_labels_change_one_field_and_keep_each_other(instance: Instance) -> None:
    group = Conversation.objects.create(instance=instance, kind="group", jid="7@g.us")
    assert apply_all(instance, group, ({"label:7": True, "label:8": True}, "1")) == [{"labels"}]
    apply_all(instance, group, ({"label:7": False}, "2"))
    group.refresh_from_db()
    assert group.labels == {"7": False, "8": True}


@pytest.mark.django_db
def test_thousands_of_labels_of_a_batch_are_copied_once(instance: Instance) -> None:
    group = Conversation.objects.create(instance=instance, kind="group", jid="7@g.us", labels={"1": True})
    states, changes, stored = LatestState(instance, [subject_for(group)]), UnitOfWork(), group.labels
    states.apply(group, {"label:7": True}, "1", changes)
    copied = group.labels
    states.apply(group, {"label:8": True}, "1", changes)
    assert group.labels is copied
    assert (group.labels, stored) == ({"1": True, "7": True, "8": True}, {"1": True})


@pytest.mark.django_db
def test_labels_that_displace_others_are_not_copied_or_sorted_again(instance: Instance) -> None:
    labels = {f"{number:04}": True for number in range(1000, 1000 + MAX_KEPT_LABELS)}
    group = Conversation.objects.create(instance=instance, kind="group", jid="7@g.us", labels=labels)
    states, changes = LatestState(instance, [subject_for(group)]), UnitOfWork()
    states.apply(group, {"label:0999": True}, "1", changes)
    copied = group.labels
    states.apply(group, {"label:0998": True}, "1", changes)
    assert group.labels is copied
    assert sorted(group.labels) == sorted({"0998", "0999", *labels})[:MAX_KEPT_LABELS]


@pytest.mark.django_db
def test_the_labels_of_a_row_are_bounded_in_any_order(instance: Instance) -> None:
    names = [f"label:{number:03}" for number in range(MAX_KEPT_LABELS + 5)]
    for jid, order in {"7@g.us": names, "8@g.us": names[::-1]}.items():
        group = Conversation.objects.create(instance=instance, kind="group", jid=jid)
        apply_all(instance, group, *(({name: True}, "1") for name in order[:100]))
        apply_all(instance, group, *(({name: True}, "1") for name in order[100:]))
        group.refresh_from_db()
        assert [f"label:{label}" for label in sorted(group.labels)] == names[:MAX_KEPT_LABELS]
        assert set(StateClock.objects.get(subject=chat_subject(jid)).clocks) == set(names[:MAX_KEPT_LABELS])


@pytest.mark.django_db
def test_labels_cost_each_read_of_an_instance_little(instance: Instance) -> None:
    """With 500 names of 255 emojis, a row took 1.6 MB in the database and 0.5 MB in the cache."""
    states, changes = LatestState(instance, [subject_for(instance)]), UnitOfWork()
    for number in range(600):
        raw = {"id": f"{number:03}", "name": 300 * "\N{GRINNING FACE}"}
        for fact in parse_label(raw, envelope()):
            assert isinstance(fact, InstanceState)
            states.apply(instance, fact.values, fact.clock, changes)
    assert len(json.dumps(instance.labels)) < 300_000
    assert len(json.dumps(instance.labels, ensure_ascii=False).encode()) < 100_000


@pytest.mark.django_db
def test_merging_rows_takes_the_newer_values_and_deletes_the_clocks_of_the_other(
    instance: Instance, contact: Contact
) -> None:
    other = Contact.objects.create(instance=instance, jid="7@lid")
    apply_all(instance, contact, ({"name": "Ana", "picture_url": "new"}, "2"))
    apply_all(instance, other, ({"name": "Zoe"}, "3"), ({"picture_url": "old"}, "1"))
    states, changes = LatestState(instance, [subject_for(contact), subject_for(other)]), UnitOfWork()
    states.merge(contact, other, ("name", "picture_url"), changes)
    changes.save()
    states.save()
    contact.refresh_from_db()
    assert (contact.name, contact.picture_url) == ("Zoe", "new")
    clocks = StateClock.objects.get()
    assert (clocks.subject, clocks.clocks) == (subject_for(contact), {"name": "3", "picture_url": "2"})


clocks = st.sampled_from(["", "1", "2"])
fields = st.dictionaries(st.sampled_from(["is_deleted", "name", "label:7", "label:8"]), st.booleans() | st.text("ab"))
statements = st.lists(st.tuples(fields, clocks), max_size=5)
on_one_instance = settings(max_examples=effort(20, 200), suppress_health_check=[HealthCheck.function_scoped_fixture])


def state_after(instance: Instance, found: list[Statement]) -> tuple[Any, ...]:
    """Apply statements to a new, unsaved conversation; return the conversation's values and the values' clocks."""
    row = Conversation(pk=1, instance=instance, kind="group", jid="7@g.us")
    states, changes = LatestState(instance, [subject_for(row)]), UnitOfWork()
    for values, clock in found:
        states.apply(row, values, clock, changes)
    states.save()
    kept = StateClock.objects.filter(instance=instance)
    result = row.is_deleted, row.name, row.labels, list(kept.values_list("clocks", flat=True))
    kept.delete()
    return result


@pytest.mark.django_db
@on_one_instance
@given(statements, st.randoms())
def test_applying_values_is_commutative_associative_and_idempotent(found: list[Statement], random: Any) -> None:
    instance, _ = Instance.objects.get_or_create(name="sales")
    shuffled = [*found, *found]
    random.shuffle(shuffled)
    assert state_after(instance, shuffled) == state_after(instance, found)
