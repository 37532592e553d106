"""Commands of the cache."""
