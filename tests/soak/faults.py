"""What goes wrong: writers die, and Valkey does everything that a server can do to its clients."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.soak.fleet import Fleet
from tests.soak.history import WRITERS, History
from tests.soak.orders import Orders
from tests.valkey import Valkey

DOWN = 0.05  # seconds
HUNG = 0.3
SHORT_OF_MEMORY = 0.25
CUT_OFF = 0.4
PAUSED = 0.2
OBEYED_WITHIN = 5.0
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


class Faults:
    """The faults, by what they are called in the report. Where intents may be lost, the history is told."""

    def __init__(self, server: Valkey, fleet: Fleet, history: History, orders: Orders, prefix: str, only: str) -> None:
        self.injected: Counter[str] = Counter()
        self.gone: Counter[str] = Counter()
        self._server = server
        self._fleet = fleet
        self._history = history
        self._orders = orders
        self._prefix = prefix
        self._draw = random.Random(0)
        self._old_dump = b""
        kinds = {
            "writer killed between COMMIT and end": self._kill_after_commit,
            "writer killed anywhere": self._kill,
            "Valkey stopped, started with its data": self._restart,
            "Valkey killed, started with older data": self._restart_with_older_data,
            "Valkey killed, started without data": self._restart_without_data,
            "FLUSHALL": self._flush,
            "keys evicted for want of memory": self._evict,
            "entries and versions removed": self._unlink,
            "Valkey full (OOM errors)": self._fill_up,
            "Valkey hung for 0.3 s": self._hang,
            "connections cut": self._cut,
            "subscriptions cut": self._cut_subscriptions,
            "Valkey slow to one writer alone": self._cut_off,
            "process paused for 0.2 s": self._pause,
        }
        self._kinds = {name: inject for name, inject in kinds.items() if only in name}

    def inject(self, until: float, rounds: int) -> None:
        """Inject every fault so many times, in one order and another, spread evenly until then (monotonic clock)."""
        deck = [name for _ in range(rounds) for name in self._draw.sample(list(self._kinds), len(self._kinds))]
        began = time.monotonic()
        for place, name in enumerate(deck):
            self._fleet.rest(began + (until - began) * place / len(deck) - time.monotonic())
            if time.monotonic() >= until:
                break
            self._kinds[name]()
            self.injected[name] += 1
        self._fleet.rest(until - time.monotonic())

    # --- processes ----------------------------------------------------------------------------------------------------
    def _kill_after_commit(self) -> None:
        number = self._draw.randrange(WRITERS)
        victim = self._fleet.writers[number]
        self._orders.die(number)
        victim.join(OBEYED_WITHIN)
        assert victim.exitcode == -signal.SIGKILL, "a writer did not die when it was told to"

    def _kill(self) -> None:
        victim = self._draw.choice(list(self._fleet.writers.values()))
        time.sleep(self._draw.uniform(0, 0.01))
        victim.kill()
        victim.join()

    def _pause(self) -> None:
        victim = self._draw.choice([*self._fleet.readers.values(), *self._fleet.writers.values()])
        assert victim.pid is not None
        self._fleet.tend()
        if victim.is_alive():
            import os

            os.kill(victim.pid, signal.SIGSTOP)
            time.sleep(PAUSED)
            os.kill(victim.pid, signal.SIGCONT)

    def _cut_off(self) -> None:
        self._orders.cut_off(self._draw.randrange(WRITERS), CUT_OFF)
        self._fleet.rest(CUT_OFF)

    # --- the server stops ---------------------------------------------------------------------------------------------
    def _restart(self) -> None:
        """Stop as an operator does: nothing is lost."""
        self._server.shut_down()
        self._start()

    def _restart_with_older_data(self) -> None:
        """Start with what was saved some seconds ago, or just before the end."""
        self._server.save()
        saved = self._server.dump.read_bytes()
        data, self._old_dump = self._draw.choice([self._old_dump or saved, saved]), saved
        with self._losing():
            self._fleet.rest(DOWN)
            self._server.stop()
        self._server.dump.write_bytes(data)
        self._start()

    def _restart_without_data(self) -> None:
        with self._losing():
            self._server.stop()
        self._server.forget()
        self._start()

    def _start(self) -> None:
        self._fleet.rest(self._draw.choice((0, DOWN, 4 * DOWN)))
        self._server.start()

    def _hang(self) -> None:
        self._server.pause()
        try:
            self._fleet.rest(HUNG)
        finally:
            self._server.resume()

    # --- the server forgets -------------------------------------------------------------------------------------------
    def _flush(self) -> None:
        with self._losing():
            self._server.client.flushall()

    def _evict(self) -> None:
        """Let the server throw out what it likes, live intents as well."""
        before = self._evicted()
        with self._losing():
            self._short_of_memory(self._draw.choice(POLICIES))
        self.gone["evicted"] += self._evicted() - before

    def _fill_up(self) -> None:
        self._short_of_memory("noeviction")

    def _short_of_memory(self, policy: str) -> None:
        client: Any = self._server.client
        client.config_set("maxmemory-policy", policy)
        memory = client.info("memory")
        client.config_set("maxmemory", int(memory["used_memory"] - memory["used_memory_dataset"] / 4))
        self._fleet.rest(SHORT_OF_MEMORY)
        client.config_set("maxmemory", 0)

    def _unlink(self) -> None:
        client: Any = self._server.client
        keys = [key for kind in "et" for key in client.scan_iter(match=f"{self._prefix}:{kind}:*", count=1000)]
        self.gone["removed"] += client.eval(UNLINK, len(keys) // 3, *self._draw.sample(keys, len(keys) // 3))

    def _evicted(self) -> int:
        return int(self._server.client.info("stats")["evicted_keys"])

    @contextmanager
    def _losing(self) -> Iterator[None]:
        which = self._history.loses()
        try:
            yield
        finally:
            self._history.lost(which)

    # --- the server cuts off ------------------------------------------------------------------------------------------
    def _cut(self) -> None:
        """Cut all connections, or each second one."""
        self._cut_type("normal", self._draw.choice((1, 2)))

    def _cut_subscriptions(self) -> None:
        self._cut_type("pubsub", self._draw.choice((1, 2)))

    def _cut_type(self, kind: str, each: int) -> None:
        client: Any = self._server.client
        own = client.client_id()
        ids = [int(one["id"]) for one in client.client_list(_type=kind)]
        for one in [one for one in ids if one != own][::each]:
            client.client_kill_filter(_id=one)
