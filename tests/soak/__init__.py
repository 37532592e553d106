"""The multi-process soak: `python -m tests.soak --duration 60` (or `make soak`).

Four readers and two writers share a PostgreSQL and a Valkey, while writers are killed and Valkey is stopped, emptied,
given old data, hung and filled up. Every read is held against the history of what was written (`history.py`): it may
return only the last value committed before it began, or one that was being written while it lasted.
"""
