"""A name for which nobody answers delays no other name; it costs one thread, however often it is asked for."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from conversations.webhooks_out import name_lookups
from conversations.webhooks_out.addresses import AddressRefused, resolve
from conversations.webhooks_out.name_lookups import NameLookups
from tests.waiting import TIMEOUT

real = socket.getaddrinfo


class Resolver:
    """The system's resolver, with servers of `.dead` names that do not answer."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.was_asked = threading.Semaphore(0)
        self.give_up = threading.Event()

    def getaddrinfo(self, host: Any, *args: Any, **options: Any) -> Any:
        self.asked[host] += 1
        if host.endswith(".dead"):
            self.was_asked.release()
            self.give_up.wait(TIMEOUT)
            raise socket.gaierror
        return real(host, *args, **options)


@pytest.fixture
def resolver(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    one = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", one.getaddrinfo)
    yield one
    one.give_up.set()


async def ask(resolver: Resolver, *hosts: str) -> list["asyncio.Task[list[str]]"]:
    """Begin to resolve names that do not answer."""
    tasks = [asyncio.create_task(resolve(host, 80)) for host in hosts]
    for _ in set(hosts):
        await asyncio.to_thread(resolver.was_asked.acquire, timeout=TIMEOUT)
    return tasks


def test_names_that_hang_delay_no_other_name(resolver: Resolver) -> None:
    async def run() -> list[str]:
        tasks = [asyncio.create_task(resolve(f"{number}.dead", 80)) for number in range(50)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(TIMEOUT / 2):
                return await resolve("127.0.0.1", 80)
        finally:
            resolver.give_up.set()
            await asyncio.gather(*tasks, return_exceptions=True)

    assert asyncio.run(run()) == ["127.0.0.1"]


def test_a_name_that_hangs_is_looked_up_once(resolver: Resolver) -> None:
    async def run() -> list[Any]:
        (given_up,) = await ask(resolver, "a.dead")
        given_up.cancel()
        again = [asyncio.create_task(resolve("a.dead", 80)) for _ in range(3)]
        await asyncio.sleep(0)
        resolver.give_up.set()
        return await asyncio.gather(*again, return_exceptions=True)

    assert {str(error) for error in asyncio.run(run())} == {"the name a.dead does not lead anywhere"}
    assert resolver.asked == {"a.dead": 1}


def test_the_names_that_hang_are_limited(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookups, "MAX_LOOKUPS", 2)
    monkeypatch.setattr("conversations.webhooks_out.addresses.lookups", NameLookups())

    async def run() -> None:
        tasks = await ask(resolver, "a.dead", "b.dead")
        with pytest.raises(AddressRefused, match="too many others"):
            await resolve("127.0.0.1", 80)
        resolver.give_up.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]

    asyncio.run(run())
