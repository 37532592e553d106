"""The change log as its readers see it: positions, cursors, pages of changes, retention.

Database triggers write the log (migration 0026). `docs/decisions/changes.md` says why it misses nothing.
"""
