"""What readers and writers of one process share: the store, the local cache, the circuit breaker and the counters."""
