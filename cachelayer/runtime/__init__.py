"""What readers and writers of one process share: the store, the local cache, the breaker, the counters."""
