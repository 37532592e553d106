"""The multi-process soak test: `python -m tests.soak --duration 60` (or `make soak`).

Four readers and two writers share one PostgreSQL and one Valkey. Meanwhile writers are killed, and Valkey is stopped,
emptied, restored from old data, paused and filled up. Every read is compared with the history of all writes
(`history.py`): it may return the last value committed before it started, or a value being written while it ran.
"""
