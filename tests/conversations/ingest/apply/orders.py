"""Applies the same webhook bodies in different orders, and compares the resulting rows."""

import itertools
from collections.abc import Iterable, Iterator

from django.db import connection

from conversations.evolution import envelope, events
from conversations.evolution.facts import Fact
from conversations.evolution.jid import Address
from conversations.models import Instance
from tests.conversations.ingest.bodies import Body
from tests.conversations.ingest.receive import apply_facts
from tests.conversations.ingest.row_snapshots import Rows, rows_of
from tests.effort import EXPLORES_ALL

_numbers = itertools.count()


def new_instance() -> Instance:
    return Instance.objects.create(name=f"orders-{next(_numbers)}")


def facts_of(body: Body, own: Iterable[Address] = ()) -> tuple[Fact, ...]:
    """Parse a webhook body; the test may say in `received_at` when the body was received.

    Args:
        body: the webhook body.
        own: the addresses of the instance that are known from earlier bodies.
    """
    known = envelope.OwnAddresses.of(own)
    return events.parse(envelope.parse_envelope(body, received_at=body.get("received_at"), own=known)).facts


def apply_one_by_one(bodies: Iterable[Body]) -> Rows:
    """Apply webhook bodies one by one to a new instance; return the rows of the instance."""
    instance = new_instance()
    apply_bodies(instance, *bodies)
    return rows_of(instance)


def apply_bodies(instance: Instance, *bodies: Body) -> None:
    """Apply webhook bodies one by one to an instance."""
    for body in bodies:
        instance.refresh_from_db()
        apply_facts(instance, facts_of(body, instance.own_addresses))


def apply_at_once(bodies: Iterable[Body]) -> Rows:
    """Apply webhook bodies to a new instance in one call of `apply`; return the rows of the instance."""
    instance = new_instance()
    apply_facts(instance, [fact for body in bodies for fact in facts_of(body)])
    return rows_of(instance)


def apply_in_every_order(*bodies: Body) -> Rows:
    """Apply webhook bodies in many orders, each time to a new instance; check that all orders give the same rows.

    The bodies are also applied at once and, after all of them, a second time. With EXPLORE=all, the orders are all
    permutations.
    """
    first, *others = [apply_one_by_one(order) for order in _orders(bodies)]
    others += [apply_one_by_one(bodies + bodies), apply_at_once(bodies), apply_at_once(bodies[::-1])]
    for other in others:
        assert other == first
    return first


def apply_both_ways(*bodies: Body) -> Rows:
    """Apply webhook bodies in the given order, in the reverse and at once; check that the rows are the same."""
    rows = apply_one_by_one(bodies)
    assert apply_one_by_one(bodies[::-1]) == rows
    assert apply_at_once(bodies) == rows
    return rows


def _orders(bodies: tuple[Body, ...]) -> Iterator[tuple[Body, ...]]:
    """Yield all permutations with EXPLORE=all; otherwise orders in which each body precedes and follows each other one.

    On SQLite these are all rotations of the given order and of its reverse, which are all permutations of up to three
    bodies. On PostgreSQL, where an order takes several times as long, they are the given order and its reverse.
    """
    if EXPLORES_ALL:
        yield from itertools.permutations(bodies)
        return
    for order in (bodies, bodies[::-1]):
        for start in range(len(order) if connection.vendor == "sqlite" else 1):
            yield order[start:] + order[:start]
