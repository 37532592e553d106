"""The multi-process soak test: `python -m tests.soak --duration 60` (or `make soak`).

Four reader processes and two writer processes share one PostgreSQL and one Valkey server. During the test, writers are
killed, and Valkey is stopped, emptied, restored from old data, paused and filled up. Every read is compared with the
history of all writes (`history.py`). A read is correct if it returns the last value committed before the read started,
or a value that was being written during the read.
"""
