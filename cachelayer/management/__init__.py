"""The management commands of the cache."""
