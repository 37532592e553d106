"""The shared store: its interface, an implementation in one process's memory, and one on a Redis or Valkey server."""
