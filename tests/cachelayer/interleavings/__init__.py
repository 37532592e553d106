"""A model checker for cache coherence: runs the real cache code in every interleaving of a few readers and writers.

**What runs.** The model checker runs the real `cachelayer` code (managers, readers, Django signals, writes, outbox,
heartbeat and recovery) and Django's real `atomic`. Small fakes replace the ORM's SQL and the clocks (`fakes.py`), the
database connection (`database.py`), and the Redis server (`server.py`, built on `MemoryStore`).

**What a step is.** A step is an operation of an actor (a thread of a simulated process) that another actor can notice.
On the store, each command, each command of a pipeline and each script is a step. In the database, a SELECT, a write
that may wait for a lock, a COMMIT and a ROLLBACK are steps. In a local cache that several actors share, a lookup, a
fill and an invalidation are steps. No other actor can notice what an actor does between two of its steps.

**What may happen between any two steps.** A process may crash: then the database releases the row locks of that
process, and the write intents of that process stay in the store for 30 s. Live writers keep their intents longer by
heartbeats. A process may receive an invalidation message. In some scenarios the store becomes unreachable
or full, loses intents, is emptied, or restarts from a snapshot.

**What is checked.** A read that starts after a COMMIT returns that commit's value or a later one, even if the writer
crashed right after the COMMIT (`oracle.py`). Only a hit in the local cache may return an older value, until the
process has received the invalidation message. When all actors have finished, the store holds no write intents.

**How.** The explorer runs all schedules of each scenario (`explorer.py`, `scenarios.py`). A mutant is the real cache
code without one step of the protocol; the explorer must find a stale read for every mutant (`mutants.py`).
"""
