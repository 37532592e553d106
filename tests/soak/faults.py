"""The injected faults: processes are killed and paused; Valkey loses data, hangs, restarts, or closes connections.

Two tasks inject faults side by side: one injects heavy faults, the other injects light faults. After a heavy fault the
caches quarantine the store; heavy faults come in groups, so that the caches use the store between two groups. After a
light fault the caches go on using the store.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.soak import scheduler
from tests.soak.commands import Commands
from tests.soak.history import WRITERS, History
from tests.soak.processes import Processes, ProcessFailed
from tests.soak.scheduler import Task
from tests.valkey import Valkey

HEAVY_GROUP_SIZE = 5
MAX_GROUP_GAP = 0.2  # seconds
DOWN_SECONDS = (0.0, 0.02, 0.1)
HANG_SECONDS = 0.25
NO_WRITES_SECONDS = 0.4  # longer than a write waits to be accepted
LOW_MEMORY_SECONDS = 0.15
PARTITION_SECONDS = 0.4
PAUSE_SECONDS = 0.2
COMMAND_TIMEOUT = 20.0  # seconds
POLL_SECONDS = 0.005
EVICTION_POLICIES = ("allkeys-lru", "allkeys-random", "volatile-lru", "volatile-random", "volatile-ttl")

# A Lua script that removes cache entries and versions, but no intents: the value of an intent begins with "!" (33).
UNLINK = """
local removed = 0
for _, key in ipairs(KEYS) do
  local state = redis.call('GET', key)
  if state and state:byte() ~= 33 then removed = removed + redis.call('UNLINK', key) end
end
return removed
"""

BLOCK_SECONDS = 0.1
BLOCK = f"local started = os.clock() while os.clock() - started < {BLOCK_SECONDS} do end"

Inject = Callable[[], Task]


class Faults:
    """Injects all faults. The history records each fault in which the store may lose intents.

    Args:
        server: the Valkey server of the soak test.
        processes: the reader and writer processes.
        history: the history of all writes.
        commands: the commands to the reader and writer processes.
        prefix: the prefix of the cache's keys in Valkey.
        only: if not empty, inject only faults whose name contains this text.
        partition: whether to include the fault in which the store is slow for one writer only.

    Attributes:
        injected: how often each fault was injected, by the fault's name.
        removed_keys: how many keys were "evicted" by Valkey, and how many were "removed" by the fault injection.
    """

    def __init__(  # noqa: PLR0913 - one argument for each component of a soak test
        self,
        server: Valkey,
        processes: Processes,
        history: History,
        commands: Commands,
        prefix: str,
        *,
        only: str = "",
        partition: bool = False,
    ) -> None:
        self.removed_keys: Counter[str] = Counter()
        self._server = server
        self._processes = processes
        self._history = history
        self._commands = commands
        self._prefix = prefix
        self._rng = random.Random()
        self._old_dump = b""
        self._refuses_writes = False
        heavy: dict[str, Inject] = {
            "Valkey stopped, started with its data": self._restart,
            "Valkey killed, started with older data": self._restart_with_older_data,
            "Valkey killed, started without data": self._restart_without_data,
            "FLUSHALL": self._flush,
            "Valkey hung for 0.25 s": self._hang,
            "Valkey paused all writes": self._pause_writes,
            "Valkey refused all writes": self._refuse_writes,
        }
        light: dict[str, Inject] = {
            "writer killed between COMMIT and end": self._kill_after_commit,
            "writer killed anywhere": self._kill,
            "writer paused between COMMIT and end": self._pause_after_commit,
            "process paused for 0.2 s": self._pause,
            "keys evicted for lack of memory": self._evict,
            "Valkey full (OOM errors)": self._fill_memory,
            "Valkey restarted unseen, with older data": self._restart_unseen,
            "entries and versions removed": self._unlink,
            "Valkey blocked by a script (BUSY errors)": self._block,
            "connections closed": self._close_connections,
            "subscriptions closed": self._close_subscriptions,
        }
        if partition:
            light["Valkey slow for one writer only"] = self._partition
        self._heavy, self._light = (
            {name: inject for name, inject in faults.items() if only in name} for faults in (heavy, light)
        )
        self.injected = dict.fromkeys((*self._heavy, *self._light), 0)

    def inject(self, until: float, rounds: int) -> None:
        """Inject every fault `rounds` times, in random order, evenly distributed until the monotonic time `until`."""
        heavy = scheduler.spread_evenly(
            self._shuffled(self._heavy, rounds),
            until,
            group_size=HEAVY_GROUP_SIZE,
            gap=lambda: self._rng.uniform(0, MAX_GROUP_GAP),
        )
        light = scheduler.spread_evenly(self._shuffled(self._light, rounds), until, group_size=1, gap=float)
        scheduler.run((heavy, light), self._processes.sleep)

    def _shuffled(self, faults: Mapping[str, Inject], rounds: int) -> list[Inject]:
        names = [name for _ in range(rounds) for name in self._rng.sample(list(faults), len(faults))]
        return [self._with_count(name, faults[name]) for name in names]

    def _with_count(self, name: str, inject: Inject) -> Inject:
        def inject_and_count() -> Task:
            yield from inject()
            self.injected[name] += 1

        return inject_and_count

    # --- processes ----------------------------------------------------------------------------------------------------
    def _kill_after_commit(self) -> Task:
        number = self._rng.randrange(WRITERS)
        process = self._processes.writers[number]
        self._commands.kill_after_commit(number)
        yield from _wait_for(lambda: process.exitcode is not None)

    def _pause_after_commit(self) -> Task:
        number = self._rng.randrange(WRITERS)
        self._commands.pause_after_commit(number)
        yield from _wait_for(lambda: not self._commands.is_pending(number))

    def _kill(self) -> Task:
        yield self._rng.uniform(0, 0.01)
        process = self._rng.choice(list(self._processes.writers.values()))
        process.kill()
        process.join()

    def _pause(self) -> Task:
        process = self._rng.choice([*self._processes.readers.values(), *self._processes.writers.values()])
        if process.pid is None or process.exitcode is not None:
            return
        os.kill(process.pid, signal.SIGSTOP)
        yield PAUSE_SECONDS
        os.kill(process.pid, signal.SIGCONT)

    def _partition(self) -> Task:
        self._commands.partition(self._rng.randrange(WRITERS), PARTITION_SECONDS)
        yield PARTITION_SECONDS

    # --- the server restarts ------------------------------------------------------------------------------------------
    def _restart(self) -> Task:
        """Shut Valkey down cleanly, which loses no data, and start it again."""
        self._server.shutdown()
        yield from self._start()

    def _restart_with_older_data(self) -> Task:
        """Kill Valkey and start it with older data, saved either just now or before an earlier fault."""
        dump = self._older_dump()
        with self._record_loss():
            yield self._rng.choice(DOWN_SECONDS)
            self._server.kill()
        self._server.dump.write_bytes(dump)
        yield from self._start()

    def _restart_unseen(self) -> Task:
        """Restart Valkey while all clients are paused: only a new server run id tells the clients about the restart."""
        yield from self._wait_until_up()
        dump = self._older_dump()
        with self._processes.all_paused():
            with self._record_loss():
                self._server.kill()
            self._server.dump.write_bytes(dump)
            self._server.start()

    def _older_dump(self) -> bytes:
        self._server.save()
        saved = self._server.dump.read_bytes()
        older, self._old_dump = self._rng.choice([self._old_dump or saved, saved]), saved
        return older

    def _restart_without_data(self) -> Task:
        with self._record_loss():
            self._server.kill()
        self._server.delete_dump()
        yield from self._start()

    def _start(self) -> Task:
        yield self._rng.choice(DOWN_SECONDS)
        self._server.start()

    def _hang(self) -> Task:
        self._server.pause()
        yield HANG_SECONDS
        self._server.resume()

    # --- the server answers only reads --------------------------------------------------------------------------------
    def _pause_writes(self) -> Task:
        """Let writes wait, as during a planned failover; the server resumes by itself."""
        yield from self._wait_until_up()
        self._server.client.execute_command("CLIENT", "PAUSE", int(NO_WRITES_SECONDS * 1000), "WRITE")
        yield NO_WRITES_SECONDS

    def _refuse_writes(self) -> Task:
        """Let the server answer writes with errors, because it has fewer replicas than configured."""
        yield from self._wait_until_up()
        self._server.client.config_set("min-replicas-to-write", 1)
        self._refuses_writes = True
        yield NO_WRITES_SECONDS
        self._server.client.config_set("min-replicas-to-write", 0)
        self._refuses_writes = False

    # --- the server loses data ----------------------------------------------------------------------------------------
    def _flush(self) -> Task:
        with self._record_loss():
            self._server.client.flushall()
        yield 0.0

    def _evict(self) -> Task:
        """Make Valkey evict random keys, which may include the intents of running writes."""
        with self._record_loss(by_eviction=True):
            yield from self._lower_memory(self._rng.choice(EVICTION_POLICIES))

    def _fill_memory(self) -> Task:
        yield from self._lower_memory("noeviction")

    def _lower_memory(self, policy: str) -> Task:
        """Set Valkey's memory limit below its current memory use for a moment."""
        yield from self._wait_until_up()
        client = self._server.client
        before = client.info()
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", int(before["used_memory"] - before["used_memory_dataset"] / 4))
        yield LOW_MEMORY_SECONDS
        yield from self._wait_until_up()
        client.config_set("maxmemory", 0)
        after = client.info()
        if after["run_id"] == before["run_id"]:
            self.removed_keys["evicted"] += after["evicted_keys"] - before["evicted_keys"]

    def _unlink(self) -> Task:
        yield from self._wait_until_up()
        client = self._server.client
        keys = [key for kind in "et" for key in client.scan_iter(match=f"{self._prefix}:{kind}:*", count=1000)]
        sample = self._rng.sample(keys, len(keys) // 3)
        self.removed_keys["removed"] += client.eval(UNLINK, len(sample), *sample)

    def _block(self) -> Task:
        """Let a script of another client block Valkey, which replies to all commands with an error meanwhile.

        No other fault is injected until the script ends, because its commands would get the error, too.
        """
        yield from self._wait_until_up()
        self._server.client.config_set("lua-time-limit", 5)  # milliseconds before the errors begin
        self._server.client.eval(BLOCK, 0)

    @contextmanager
    def _record_loss(self, *, by_eviction: bool = False) -> Iterator[None]:
        """Record in the history that Valkey may lose intents while the `with` block runs."""
        index = self._history.start_loss(by_eviction=by_eviction)
        try:
            yield
        finally:
            self._history.end_loss(index)

    # --- the server closes connections --------------------------------------------------------------------------------
    def _close_connections(self) -> Task:
        return self._close("normal")

    def _close_subscriptions(self) -> Task:
        return self._close("pubsub")

    def _close(self, client_type: str) -> Task:
        """Close all client connections of one type, or every second one of them."""
        step = self._rng.choice((1, 2))
        yield from self._wait_until_up()
        client: Any = self._server.client
        own = client.client_id()
        ids = [int(entry["id"]) for entry in client.client_list(_type=client_type)]
        for client_id in [client_id for client_id in ids if client_id != own][::step]:
            client.client_kill_filter(_id=client_id)

    def _wait_until_up(self) -> Task:
        """Wait until Valkey accepts commands, because the other task's fault may have stopped or paused Valkey."""
        while not self._server.is_up or self._refuses_writes:
            yield POLL_SECONDS


def _wait_for(is_done: Callable[[], bool]) -> Task:
    """Wait until a writer has executed a command, that is, until `is_done` returns True.

    Raises:
        ProcessFailed: the writer did not execute the command within `COMMAND_TIMEOUT`.
    """
    end = time.monotonic() + COMMAND_TIMEOUT
    while not is_done():
        if time.monotonic() > end:
            raise ProcessFailed(f"a writer has committed nothing for {COMMAND_TIMEOUT:.0f} s")
        yield POLL_SECONDS
