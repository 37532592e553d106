"""The shared store: its interface, an implementation inside one process, and one on a Redis or Valkey server."""
