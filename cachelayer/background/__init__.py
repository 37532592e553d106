"""Background threads that inform this process about changes of other processes, and renew its intents in the store."""
