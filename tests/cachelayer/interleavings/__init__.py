"""A model checker for cache coherence: the real code, step by step, in every interleaving of a few readers and writers.

**What runs.** The real `cachelayer`: managers, readers, signals, writes, the outbox, heartbeat and recovery, and
Django's `atomic`. Four things are fakes, each as small as possible (`fakes.py`): the ORM's SQL, the database connection
(`database.py`), the store (`server.py`, built on the store of one process), and the clocks.

**What a step is.** Everything that another actor can notice. On the store: each command (each command of a pipeline,
too) and each script. In the database: a SELECT, a write that may wait for a lock, a COMMIT, a ROLLBACK. In the local
cache of a process that several actors use: a lookup, a fill, an invalidation. No other actor can notice what happens
between two steps.

**What may happen between any two steps.** A process crashes: the database releases its row locks with its connection,
and its intents stay in the store for 30 s. Intents of live writers last longer, because heartbeats renew them. A
process receives a message. In some scenarios the store is unreachable, is full, loses intents, is emptied, or restarts
from a snapshot.

**What is checked.** A read that starts after a COMMIT returns that commit's value or a later one, even if the writer
crashed right after the COMMIT (`oracle.py`). Only a local cache hit may be older, until the process has received the
invalidation. When all actors have finished, the store holds no intents.

**How.** The explorer runs all schedules of each scenario (`explorer.py`, `scenarios.py`). A mutant is the real code
without one step of the protocol; the explorer must find a stale read in each of them (`mutants.py`).
"""
