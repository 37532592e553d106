"""Formats of stored and published data: tags, keys, entries, value encoding, messages. Pure functions without I/O."""
