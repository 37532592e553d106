"""Reads through the cache, serialization of cached values, and reports of reads in the log and in `Cache-Status`."""
