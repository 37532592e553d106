"""What goes wrong: writers die, and Valkey does everything that a server can do to its clients.

The faults come in two lanes, side by side: those after which nobody believes the store for a while, some at once, so
that the cache is on in between; and those that it has to bear while it is on.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.soak import lanes
from tests.soak.fleet import Fleet
from tests.soak.history import WRITERS, History
from tests.soak.lanes import Steps
from tests.soak.orders import Orders
from tests.valkey import Valkey

AT_ONCE = 4
GAP = 0.2  # seconds at most, between those
DOWN = (0.0, 0.02, 0.1)
HUNG = 0.25
SHORT_OF_MEMORY = 0.15
CUT_OFF = 0.4
PAUSED = 0.2
MOMENT = 0.005  # between two looks
POLICIES = ("allkeys-lru", "allkeys-random", "volatile-lru", "volatile-random", "volatile-ttl")

# Entries and versions, never an intent.  KEYS candidates
UNLINK = """
local gone = 0
for _, key in ipairs(KEYS) do
  local state = redis.call('GET', key)
  if state and state:byte() ~= 33 then gone = gone + redis.call('UNLINK', key) end
end
return gone
"""

Inject = Callable[[], Steps]


class Faults:
    """The faults, by what they are called in the report. Where intents may be lost, the history is told.

    Args:
        server: the Valkey.
        fleet: the processes.
        history: see there.
        orders: what the processes are told.
        prefix: what the cache's keys begin with.
        only: what the names of the faults have in them; "" for all.
        partition: whether the store is slow to one writer alone, too.
    """

    def __init__(  # noqa: PLR0913 - what there is to be harmed
        self,
        server: Valkey,
        fleet: Fleet,
        history: History,
        orders: Orders,
        prefix: str,
        *,
        only: str = "",
        partition: bool = False,
    ) -> None:
        self.gone: Counter[str] = Counter()
        self._server = server
        self._fleet = fleet
        self._history = history
        self._orders = orders
        self._prefix = prefix
        self._draw = random.Random()
        self._old_dump = b""
        heavy: dict[str, Inject] = {
            "Valkey stopped, started with its data": self._restart,
            "Valkey killed, started with older data": self._restart_with_older_data,
            "Valkey killed, started without data": self._restart_without_data,
            "FLUSHALL": self._flush,
            "Valkey hung for 0.25 s": self._hang,
        }
        light: dict[str, Inject] = {
            "writer killed between COMMIT and end": self._kill_after_commit,
            "writer killed anywhere": self._kill,
            "writer held up between COMMIT and end": self._hold_after_commit,
            "process paused for 0.2 s": self._pause,
            "keys evicted for want of memory": self._evict,
            "Valkey full (OOM errors)": self._fill_up,
            "entries and versions removed": self._unlink,
            "connections cut": self._cut,
            "subscriptions cut": self._cut_subscriptions,
        }
        if partition:
            light["Valkey slow to one writer alone"] = self._cut_off
        self._lanes = [{name: one for name, one in kinds.items() if only in name} for kinds in (heavy, light)]
        self.injected = dict.fromkeys((name for kinds in self._lanes for name in kinds), 0)

    def inject(self, until: float, rounds: int) -> None:
        """Inject every fault so many times, in one order and another, spread evenly until then (monotonic clock)."""
        heavy, light = (self._deck(kinds, rounds) for kinds in self._lanes)
        both = (
            lanes.spread(heavy, until, at_once=AT_ONCE, gap=lambda: self._draw.uniform(0, GAP)),
            lanes.spread(light, until, at_once=1, gap=float),
        )
        lanes.run(both, self._fleet.rest)

    def _deck(self, kinds: Mapping[str, Inject], rounds: int) -> list[Inject]:
        names = [name for _ in range(rounds) for name in self._draw.sample(list(kinds), len(kinds))]
        return [self._counted(name, kinds[name]) for name in names]

    def _counted(self, name: str, inject: Inject) -> Inject:
        def counted() -> Steps:
            yield from inject()
            self.injected[name] += 1

        return counted

    # --- processes ----------------------------------------------------------------------------------------------------
    def _kill_after_commit(self) -> Steps:
        number = self._draw.randrange(WRITERS)
        victim = self._fleet.writers[number]
        self._orders.die(number)
        while victim.exitcode is None:
            yield MOMENT
        assert victim.exitcode == -signal.SIGKILL, "a writer did not die as it was told to"

    def _hold_after_commit(self) -> Steps:
        number = self._draw.randrange(WRITERS)
        self._orders.hold(number)
        while self._orders.is_to_meet(number):
            yield MOMENT

    def _kill(self) -> Steps:
        yield self._draw.uniform(0, 0.01)
        victim = self._draw.choice(list(self._fleet.writers.values()))
        victim.kill()
        victim.join()

    def _pause(self) -> Steps:
        victim = self._draw.choice([*self._fleet.readers.values(), *self._fleet.writers.values()])
        if victim.pid is None or victim.exitcode is not None:
            return
        os.kill(victim.pid, signal.SIGSTOP)
        yield PAUSED
        os.kill(victim.pid, signal.SIGCONT)

    def _cut_off(self) -> Steps:
        self._orders.cut_off(self._draw.randrange(WRITERS), CUT_OFF)
        yield CUT_OFF

    # --- the server stops ---------------------------------------------------------------------------------------------
    def _restart(self) -> Steps:
        """Stop as an operator does: nothing is lost."""
        self._server.shut_down()
        yield from self._start()

    def _restart_with_older_data(self) -> Steps:
        """Start with what was saved some seconds ago, or just before the end."""
        self._server.save()
        saved = self._server.dump.read_bytes()
        data, self._old_dump = self._draw.choice([self._old_dump or saved, saved]), saved
        with self._losing():
            yield self._draw.choice(DOWN)
            self._server.stop()
        self._server.dump.write_bytes(data)
        yield from self._start()

    def _restart_without_data(self) -> Steps:
        with self._losing():
            self._server.stop()
        self._server.forget()
        yield from self._start()

    def _start(self) -> Steps:
        yield self._draw.choice(DOWN)
        self._server.start()

    def _hang(self) -> Steps:
        self._server.pause()
        yield HUNG
        self._server.resume()

    # --- the server forgets -------------------------------------------------------------------------------------------
    def _flush(self) -> Steps:
        with self._losing():
            self._server.client.flushall()
        yield 0.0

    def _evict(self) -> Steps:
        """Let the server throw out what it likes, live intents as well."""
        with self._losing(by_eviction=True):
            yield from self._short_of_memory(self._draw.choice(POLICIES))

    def _fill_up(self) -> Steps:
        yield from self._short_of_memory("noeviction")

    def _short_of_memory(self, policy: str) -> Steps:
        yield from self._awaited_server()
        client = self._server.client
        before = client.info()
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", int(before["used_memory"] - before["used_memory_dataset"] / 4))
        yield SHORT_OF_MEMORY
        yield from self._awaited_server()
        client.config_set("maxmemory", 0)
        after = client.info()
        if after["run_id"] == before["run_id"]:
            self.gone["evicted"] += after["evicted_keys"] - before["evicted_keys"]

    def _unlink(self) -> Steps:
        yield from self._awaited_server()
        client = self._server.client
        keys = [key for kind in "et" for key in client.scan_iter(match=f"{self._prefix}:{kind}:*", count=1000)]
        self.gone["removed"] += client.eval(UNLINK, len(keys) // 3, *self._draw.sample(keys, len(keys) // 3))

    @contextmanager
    def _losing(self, *, by_eviction: bool = False) -> Iterator[None]:
        which = self._history.loses(by_eviction=by_eviction)
        try:
            yield
        finally:
            self._history.lost(which)

    # --- the server cuts off ------------------------------------------------------------------------------------------
    def _cut(self) -> Steps:
        """Cut all connections, or each second one."""
        return self._cut_type("normal", self._draw.choice((1, 2)))

    def _cut_subscriptions(self) -> Steps:
        return self._cut_type("pubsub", self._draw.choice((1, 2)))

    def _cut_type(self, kind: str, each: int) -> Steps:
        yield from self._awaited_server()
        client: Any = self._server.client
        own = client.client_id()
        ids = [int(one["id"]) for one in client.client_list(_type=kind)]
        for one in [one for one in ids if one != own][::each]:
            client.client_kill_filter(_id=one)

    def _awaited_server(self) -> Steps:
        """Wait until the other lane lets the server answer."""
        while not self._server.is_up:
            yield MOMENT
