"""Addresses and contacts that belong to one person are grouped by union-find."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conversations.ingest.apply.union_find import group_addresses

Groups = set[tuple[frozenset[str], frozenset[int]]]


def groups(
    keys: Iterable[str], aliases: Iterable[tuple[str, str]] = (), known: Mapping[str, int] | None = None
) -> Groups:
    found = group_addresses(keys, aliases, known or {})
    result = {(frozenset(group.keys), frozenset(group.contacts)) for group in found}
    assert len(result) == len(found)
    return result


def group(*members: str | int) -> tuple[frozenset[str], frozenset[int]]:
    return (
        frozenset(member for member in members if isinstance(member, str)),
        frozenset(member for member in members if isinstance(member, int)),
    )


def test_without_addresses_there_are_no_groups() -> None:
    assert groups([]) == set()


def test_an_address_without_aliases_is_a_group_of_its_own() -> None:
    assert groups(["a", "b"]) == {group("a"), group("b")}


def test_an_alias_puts_two_addresses_into_one_group() -> None:
    assert groups(["a", "b", "c"], [("a", "b")]) == {group("a", "b"), group("c")}


def test_an_alias_adds_addresses_that_are_not_listed() -> None:
    assert groups([], [("a", "b")]) == {group("a", "b")}


def test_aliases_are_transitive() -> None:
    assert groups([], [("a", "b"), ("c", "d"), ("b", "c")]) == {group("a", "b", "c", "d")}


def test_a_known_address_brings_its_contact() -> None:
    assert groups(["a", "b"], known={"a": 1}) == {group("a", 1), group("b")}


def test_addresses_of_one_contact_are_one_group() -> None:
    assert groups(["a", "b"], known={"a": 1, "b": 1}) == {group("a", "b", 1)}


def test_an_alias_between_two_contacts_puts_both_into_one_group() -> None:
    assert groups(["a", "b"], [("a", "b")], {"a": 1, "b": 2}) == {group("a", "b", 1, 2)}


names = st.sampled_from("abcdef")
pairs = st.lists(st.tuples(names, names), max_size=6)
contacts = st.dictionaries(names, st.integers(1, 3))


@given(st.sets(names), pairs, contacts, st.randoms())
def test_the_order_and_repetition_of_aliases_do_not_matter(
    keys: set[str], aliases: list[tuple[str, str]], known: dict[str, int], random: Any
) -> None:
    shuffled = [pair[::-1] if random.random() < 0.5 else pair for pair in aliases * 2]
    random.shuffle(shuffled)
    assert groups(keys, shuffled, known) == groups(keys, aliases, known)


@given(st.sets(names), pairs, contacts)
def test_the_groups_are_a_partition_in_which_aliases_stay_together(
    keys: set[str], aliases: list[tuple[str, str]], known: dict[str, int]
) -> None:
    found = group_addresses(keys, aliases, known)
    of_key = {key: number for number, group in enumerate(found) for key in group.keys}
    of_contact = {contact: number for number, group in enumerate(found) for contact in group.contacts}
    assert sum(len(group.keys) for group in found) == len(of_key)
    assert sum(len(group.contacts) for group in found) == len(of_contact)
    assert of_key.keys() == keys | {key for pair in aliases for key in pair} | known.keys()
    assert all(of_key[one] == of_key[other] for one, other in aliases)
    assert all(of_key[key] == of_contact[contact] for key, contact in known.items())
