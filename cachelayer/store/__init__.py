"""Where tags and shared entries are kept: on a Redis or Valkey server, or inside this process."""
