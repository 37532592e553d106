"""Connections that wait for their turn: each address has one turn, however many connections it has."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from whatsai.server.arrivals import Arrivals


class Connections(dict[str, socket.socket]):
    """Sockets by name, which are made when they are asked for."""

    def __missing__(self, name: str) -> socket.socket:
        self[name] = socket.socket()
        return self[name]

    def name(self, connection: socket.socket) -> str:
        return next(name for name, one in self.items() if one is connection)


@pytest.fixture
def connections() -> Iterator[Connections]:
    with ExitStack() as stack:
        yield (made := Connections())
        for connection in made.values():
            stack.enter_context(connection)


def take_all(arrivals: Arrivals, connections: Connections) -> str:
    return " ".join(connections.name(arrivals.take()) for _ in range(len(arrivals)))


def test_addresses_take_turns(connections: Connections) -> None:
    arrivals = Arrivals(10)
    for name in ("a1", "a2", "a3", "b1", "c1", "c2"):
        arrivals.add(name[0], connections[name])
    assert take_all(arrivals, connections) == "a1 b1 c1 a2 c2 a3"
    assert len(arrivals) == 0


def test_an_address_that_comes_later_waits_for_one_turn(connections: Connections) -> None:
    arrivals = Arrivals(10)
    for name in ("a1", "a2", "a3"):
        arrivals.add(name[0], connections[name])
    arrivals.take()
    arrivals.add("b", connections["b1"])
    assert take_all(arrivals, connections) == "a2 b1 a3"


def test_of_as_many_from_each_address_the_latest_is_closed(connections: Connections) -> None:
    arrivals = Arrivals(2)
    for name in ("a", "b", "c"):
        arrivals.add(name, connections[name])
    assert take_all(arrivals, connections) == "a b"


def test_of_too_many_the_address_with_most_loses_its_oldest(connections: Connections) -> None:
    arrivals = Arrivals(3)
    for name in ("a1", "a2", "a3", "b1", "a4"):
        arrivals.add(name[0], connections[name])
    assert take_all(arrivals, connections) == "a3 b1 a4"
    assert [name for name, connection in connections.items() if connection.fileno() < 0] == ["a1", "a2"]
