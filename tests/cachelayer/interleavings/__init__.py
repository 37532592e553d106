"""The proof of coherence: the real code, step by step, through every interleaving of a few readers and writers.

**What runs.** Managers, readers, signals, Django's `atomic`, writes, the outbox, menders: `cachelayer` as it is. Four
things are doubles, at their narrowest places (`doubles.py`): the ORM's SQL, the connection to the database
(`database.py`), the store (`server.py`, over the store of the embedded default), and clocks.

**What a step is.** Whatever others can notice: on the store each command, of a pipeline each one, and each script; a
SELECT, a write that may wait for a lock, a COMMIT, a ROLLBACK; on the local tier of a process in which anybody else is
at work a look, a fill and an invalidation. What an actor does between two steps nobody sees.

**What may happen between any two steps.** A process dies: its locks are gone with its connection, its intents stay for
30 s, which live writers' outlive, for their menders renew them. A message arrives. In some scenarios: the store cannot
be reached, is full, loses intents, is emptied, or is started again with what it held before.

**What is promised.** A read that began after a COMMIT returns what that committed, or something later, whether or not
the writer lived to see it (`oracle.py`). Only what the local tier of a process answers at once may be older, until that
process has been told. And once everybody is done, nobody holds anything any more.

**How it is shown.** `explorer.py` goes through all schedules of each scenario (`scenarios.py`). Each mutant
(`mutants.py`) is the real code with one step of the protocol taken out: a stale read is found in every one of them.
"""
