"""Formats of stored and published data: tags, cache keys, entries, values, invalidation messages. Nothing does I/O."""
