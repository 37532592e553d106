"""The shared store: its interface, one inside this process, one on a Redis or Valkey server."""
