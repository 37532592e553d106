"""The state that readers and writers of one process share: store, local cache, circuit breaker, counters."""
